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
#include "core/base/file.h"
#include "core/base/progress.h"
#include "core/export/onnx/export.h"

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

bool IsFile(const std::string& what) {
  std::error_code error;
  return what.ends_with(".haq") || what.starts_with(".") ||
         std::filesystem::is_regular_file(what, error);
}

Result<int> Show(App* app, const std::string& what) {
  return IsFile(what) ? ShowFile(app, what) : ShowOnServer(app, what);
}

struct ExportOptions {
  std::string what, format, file;
  to_onnx::QdqOptions qdq;
};

// The .haq file, downloaded beside the output and removed again where it is on the server.
Result<artifact::Model> LoadArtifact(App* app, const ExportOptions& options) {
  if (IsFile(options.what)) return artifact::Load(options.what);
  const std::string copy = options.file + ".haq";
  HAQ_RETURN_IF_ERROR(
      app->client()
          .DownloadArtifact(FullName("models", options.what), copy, [](int64_t, int64_t) {})
          .status());
  Result<artifact::Model> model = artifact::Load(copy);
  std::error_code ignored;
  std::filesystem::remove(copy, ignored);
  return model;
}

Result<int> Export(App* app, const ExportOptions& options) {
  if (options.format != "onnx-qdq") {
    return InvalidField("--format", "is '{}', must be onnx-qdq", options.format);
  }
  HAQ_ASSIGN_OR_RETURN(const artifact::Model model, LoadArtifact(app, options));
  HAQ_ASSIGN_OR_RETURN(const std::vector<uint8_t> bytes, to_onnx::ExportQdq(model, options.qdq));
  HAQ_RETURN_IF_ERROR(WriteFileDurably(options.file, bytes));
  if (app->json()) {
    app->PrintJson(
        {{"file", options.file}, {"format", options.format}, {"size_bytes", bytes.size()}});
  } else {
    app->Print(fmt::format("{}  {}, {}\n", options.file, options.format,
                           FormatBytes(static_cast<int64_t>(bytes.size()))));
  }
  return kExitOk;
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

  auto options = std::make_shared<ExportOptions>();
  command = app->AddCommand(group, "export",
                            "Write a quantized network for another runtime (docs/onnx.md)",
                            "haq artifacts export resnet20 --format onnx-qdq resnet20_int8.onnx\n"
                            "haq artifacts export model.haq --format onnx-qdq model.onnx",
                            [app, options] { return Export(app, *options); });
  command->add_option("FILE|NAME", options->what, "A .haq file, or MODEL or MODEL/versions/N")
      ->required();
  command->add_option("OUTPUT", options->file, "Where to write it")->required();
  command->add_option("--format", options->format, "onnx-qdq: QuantizeLinear / DequantizeLinear")
      ->required()
      ->type_name("NAME");
  command
      ->add_option(
          "--sum-parts", options->qdq.sum_parts,
          "8-bit parts of a convolution's result that an addition reads: 1 is the fastest, "
          "more are nearer to the engine (default 4)")
      ->type_name("N");
}

}  // namespace haq::client
