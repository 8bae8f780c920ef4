#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "client/cli/app.h"
#include "client/cli/artifact_text.h"
#include "client/cli/json.h"
#include "client/cli/report.h"
#include "client/cli/table.h"
#include "client/lib/names.h"
#include "core/artifact/file.h"
#include "core/base/exit_code.h"
#include "core/base/progress.h"

namespace haq::client {
namespace {

Result<int> List(App* app, const std::string& model) {
  HAQ_ASSIGN_OR_RETURN(const auto artifacts,
                       app->client().ListArtifacts(model.empty() ? "" : FullName("models", model)));
  if (app->json()) {
    auto list = nlohmann::ordered_json::array();
    for (const auto& artifact : artifacts) list.push_back(ToJson(artifact));
    app->PrintJson({{"artifacts", list}});
    return kExitOk;
  }
  Table table({{"NAME"}, {"SIZE", Align::kRight}, {"JOB"}, {"SHA256"}, {"CREATED"}});
  for (const auto& artifact : artifacts) {
    table.Add({artifact.name(), FormatBytes(artifact.size_bytes()), ShortName(artifact.job()),
               artifact.sha256().substr(0, 12), FormatTime(artifact.create_time())});
  }
  app->Print(table.Text());
  return kExitOk;
}

Result<int> Pull(App* app, const std::string& name, const std::string& file) {
  v1::Artifact artifact;
  {
    ProgressBar bar(app->progress_stream());
    HAQ_ASSIGN_OR_RETURN(artifact,
                         app->client().DownloadArtifact(
                             FullName("models", name), file, [&bar](int64_t done, int64_t total) {
                               bar.Update("download", done, total, 0, Unit::kBytes);
                             }));
  }
  if (app->json()) {
    auto document = ToJson(artifact);
    document["file"] = file;
    app->PrintJson(document);
  } else {
    app->Print(fmt::format("{}  {}, {}, sha256 {}\n", file, artifact.name(),
                           FormatBytes(artifact.size_bytes()), artifact.sha256()));
  }
  return kExitOk;
}

Result<int> ShowFile(App* app, const std::string& file) {
  HAQ_ASSIGN_OR_RETURN(const artifact::Model model, artifact::Load(file));
  if (app->json()) {
    app->PrintJson(ArtifactJson(model));
  } else {
    app->Print(file + "\n" + ArtifactText(model));
  }
  return kExitOk;
}

Result<int> ShowOnServer(App* app, const std::string& name) {
  HAQ_ASSIGN_OR_RETURN(const v1::Artifact artifact,
                       app->client().GetArtifact(FullName("models", name)));
  if (app->json()) {
    app->PrintJson(ToJson(artifact));
    return kExitOk;
  }
  app->Print(fmt::format(
      "{}\n  size         {}\n  sha256       {}\n  job          {}\n"
      "  created      {}\n{}",
      artifact.name(), FormatBytes(artifact.size_bytes()), artifact.sha256(), artifact.job(),
      FormatTime(artifact.create_time()), FormatReport(artifact.report_json())));
  return kExitOk;
}

Result<int> Show(App* app, const std::string& what) {
  std::error_code error;
  const bool looks_like_file = what.ends_with(".haq") || what.starts_with(".");
  if (looks_like_file || std::filesystem::is_regular_file(what, error)) return ShowFile(app, what);
  return ShowOnServer(app, what);
}

}  // namespace

void AddArtifactCommands(CLI::App* root, App* app) {
  CLI::App* group = App::AddGroup(root, "artifacts", "Quantized networks (.haq files)");

  auto name = std::make_shared<std::string>();
  CLI::App* command = app->AddCommand(group, "list", "List the quantized versions",
                                      "haq artifacts list\nhaq artifacts list resnet20",
                                      [app, name] { return List(app, *name); });
  command->add_option("MODEL", *name, "Only those of this model");

  auto file = std::make_shared<std::string>();
  command = app->AddCommand(
      group, "pull", "Download a quantized version, continuing where a download broke off",
      "haq artifacts pull resnet20 model.haq\nhaq artifacts pull resnet20/versions/2 model.haq",
      [app, name, file] { return Pull(app, *name, *file); });
  command->add_option("NAME", *name, "MODEL (the served version) or MODEL/versions/N")->required();
  command->add_option("FILE", *file, "Where to write it")->required();

  command = app->AddCommand(group, "show",
                            "Show a .haq file (no server needed), or a version on the server",
                            "haq artifacts show model.haq\nhaq artifacts show resnet20/versions/2",
                            [app, name] { return Show(app, *name); });
  command->add_option("FILE|NAME", *name, "A .haq file, or MODEL or MODEL/versions/N")->required();
}

}  // namespace haq::client
