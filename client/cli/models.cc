#include <fmt/format.h>

#include <memory>
#include <sstream>

#include "client/cli/app.h"
#include "client/cli/json.h"
#include "client/cli/table.h"
#include "client/lib/names.h"
#include "core/base/exit_code.h"
#include "core/base/file.h"
#include "core/base/progress.h"

namespace haq::client {
namespace {

struct PushOptions {
  std::string id, file, preprocess_file, classes_file;
  std::vector<int64_t> input_shape;
};

Result<std::vector<std::string>> ReadLines(const std::string& path) {
  HAQ_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    lines.push_back(line);
  }
  return lines;
}

std::string Describe(const v1::Model& model) {
  std::string text = fmt::format("{}\n", model.name());
  text += fmt::format("  format       {}, {}\n", model.format(), FormatBytes(model.size_bytes()));
  text += fmt::format("  sha256       {}\n", model.sha256());
  text += fmt::format("  input        {}\n", FormatShape(model.input_shape()));
  text += fmt::format("  preprocess   {}\n", model.preprocess_json());
  text +=
      fmt::format("  classes      {}\n",
                  model.class_names_size() > 0 ? std::to_string(model.class_names_size()) : "-");
  text += fmt::format("  created      {}\n", FormatTime(model.create_time()));
  text += fmt::format("  served       {}\n",
                      model.served_version().empty() ? "-" : model.served_version());
  if (!model.previous_version().empty()) {
    text += fmt::format("  before       {}\n", model.previous_version());
  }
  return text;
}

Result<int> Push(App* app, const PushOptions& options) {
  v1::Model model;
  for (const int64_t dimension : options.input_shape) model.add_input_shape(dimension);
  if (!options.preprocess_file.empty()) {
    HAQ_ASSIGN_OR_RETURN(*model.mutable_preprocess_json(), ReadTextFile(options.preprocess_file));
  }
  if (!options.classes_file.empty()) {
    HAQ_ASSIGN_OR_RETURN(const auto classes, ReadLines(options.classes_file));
    for (const std::string& name : classes) model.add_class_names(name);
  }
  {
    ProgressBar bar(app->progress_stream());
    HAQ_ASSIGN_OR_RETURN(*model.mutable_sha256(),
                         app->client().UploadFile(options.file, [&bar](int64_t done, int64_t all) {
                           bar.Update("upload", done, all, 0, Unit::kBytes);
                         }));
  }
  HAQ_ASSIGN_OR_RETURN(model, app->client().CreateModel(ShortName(options.id), model));
  if (app->json()) {
    app->PrintJson(ToJson(model));
  } else {
    app->Print(Describe(model));
  }
  return kExitOk;
}

Result<int> Pull(App* app, const std::string& name, const std::string& file) {
  HAQ_ASSIGN_OR_RETURN(const auto model, app->client().GetModel(FullName("models", name)));
  {
    ProgressBar bar(app->progress_stream());
    HAQ_RETURN_IF_ERROR(app->client().DownloadBlob(
        model.sha256(), model.size_bytes(), file, [&bar](int64_t done, int64_t total) {
          bar.Update("download", done, total, 0, Unit::kBytes);
        }));
  }
  if (app->json()) {
    auto document = ToJson(model);
    document["file"] = file;
    app->PrintJson(document);
  } else {
    app->Print(fmt::format("{}  {}, {}, sha256 {}\n", file, model.name(),
                           FormatBytes(model.size_bytes()), model.sha256()));
  }
  return kExitOk;
}

Result<int> List(App* app) {
  HAQ_ASSIGN_OR_RETURN(const auto models, app->client().ListModels());
  if (app->json()) {
    auto list = nlohmann::ordered_json::array();
    for (const auto& model : models) list.push_back(ToJson(model));
    app->PrintJson({{"models", list}});
    return kExitOk;
  }
  Table table({{"NAME"}, {"INPUT"}, {"SIZE", Align::kRight}, {"CREATED"}, {"SERVED"}});
  for (const auto& model : models) {
    table.Add(
        {ShortName(model.name()), FormatShape(model.input_shape()), FormatBytes(model.size_bytes()),
         FormatTime(model.create_time()),
         model.served_version().empty() ? "-" : "version " + ShortName(model.served_version())});
  }
  app->Print(table.Text());
  return kExitOk;
}

Result<int> Show(App* app, const std::string& name) {
  HAQ_ASSIGN_OR_RETURN(const auto model, app->client().GetModel(FullName("models", name)));
  if (app->json()) {
    app->PrintJson(ToJson(model));
  } else {
    app->Print(Describe(model));
  }
  return kExitOk;
}

Result<int> PrintServed(App* app, const Result<v1::Model>& model) {
  if (!model.ok()) return model.status();
  if (app->json()) {
    app->PrintJson(ToJson(*model));
  } else {
    app->Print(fmt::format(
        "{} is served{}\n", model->served_version(),
        model->previous_version().empty() ? "" : ", before it was " + model->previous_version()));
  }
  return kExitOk;
}

Result<int> Promote(App* app, const std::string& name, int64_t version) {
  return PrintServed(app, app->client().PromoteVersion(
                              fmt::format("{}/versions/{}", FullName("models", name), version)));
}

Result<int> Rollback(App* app, const std::string& name) {
  return PrintServed(app, app->client().RollbackModel(FullName("models", name)));
}

Result<int> Delete(App* app, const std::string& name, bool force) {
  const std::string full = FullName("models", name);
  HAQ_RETURN_IF_ERROR(app->client().DeleteModel(full, force));
  if (app->json()) {
    app->PrintJson({{"deleted", full}});
  } else {
    app->Print("deleted " + full + "\n");
  }
  return kExitOk;
}

}  // namespace

void AddModelCommands(CLI::App* root, App* app) {
  CLI::App* group = App::AddGroup(root, "models", "Networks on the server");

  auto push = std::make_shared<PushOptions>();
  CLI::App* command = app->AddCommand(
      group, "push", "Upload a TorchScript or ONNX file and register it under a name",
      "haq models push resnet20 resnet20_cifar10.pt --input-shape 3,32,32 --preprocess cifar.json",
      [app, push] { return Push(app, *push); });
  command->add_option("NAME", push->id, "Name of the model: a-z, 0-9, '_', '.', '-'")->required();
  command->add_option("FILE", push->file, "TorchScript (scripted or traced) or ONNX file")
      ->required();
  command
      ->add_option("--input-shape", push->input_shape,
                   "One sample's shape, C,H,W; default: what an ONNX file declares")
      ->delimiter(',')
      ->type_name("C,H,W");
  command
      ->add_option("--preprocess", push->preprocess_file,
                   "JSON file: how an image becomes the input (docs/preprocessing.md)")
      ->type_name("FILE");
  command->add_option("--classes", push->classes_file, "Names of the classes, one a line")
      ->type_name("FILE");

  app->AddCommand(group, "list", "List the models", "haq models list\nhaq models list --json",
                  [app] { return List(app); });

  auto name = std::make_shared<std::string>();
  command = app->AddCommand(group, "show", "Show one model", "haq models show resnet20",
                            [app, name] { return Show(app, *name); });
  command->add_option("NAME", *name, "Name of the model")->required();

  auto file = std::make_shared<std::string>();
  command = app->AddCommand(group, "pull", "Download the FP32 model's file",
                            "haq models pull resnet20 resnet20.pt",
                            [app, name, file] { return Pull(app, *name, *file); });
  command->add_option("NAME", *name, "Name of the model")->required();
  command->add_option("FILE", *file, "Where to write it")->required();

  auto version = std::make_shared<int64_t>(0);
  command = app->AddCommand(group, "promote", "Serve a version from now on",
                            "haq models promote resnet20 3",
                            [app, name, version] { return Promote(app, *name, *version); });
  command->add_option("NAME", *name, "Name of the model")->required();
  command->add_option("VERSION", *version, "Number of the version")
      ->check(NumberFrom(1, 1e15))
      ->required();

  command =
      app->AddCommand(group, "rollback", "Serve the version again that was served before",
                      "haq models rollback resnet20", [app, name] { return Rollback(app, *name); });
  command->add_option("NAME", *name, "Name of the model")->required();

  auto force = std::make_shared<bool>(false);
  command = app->AddCommand(group, "delete", "Delete a model and its quantized versions",
                            "haq models delete resnet20",
                            [app, name, force] { return Delete(app, *name, *force); });
  command->add_option("NAME", *name, "Name of the model")->required();
  command->add_flag("--force", *force, "Also when jobs use it: they fail");
}

}  // namespace haq::client
