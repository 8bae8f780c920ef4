#include <fmt/format.h>

#include <memory>

#include "client/cli/app.h"
#include "client/cli/infer_output.h"
#include "client/cli/json.h"
#include "client/cli/table.h"
#include "client/lib/names.h"
#include "core/base/exit_code.h"
#include "core/base/file.h"

namespace haq::client {
namespace {

// Images of one request: well below gRPC's usual 4 MiB a message.
constexpr size_t kBatchImages = 32;
constexpr size_t kBatchBytes = 2 << 20;

struct InferOptions {
  std::string model, version;
  std::vector<std::string> files;
  int64_t top = 5;
};

struct Prediction {
  std::string file;
  std::vector<Ranked> top;
};

// As many of `files` from `begin` on as one request carries, at least one.
Result<inference::ModelInferRequest> NextRequest(const InferOptions& options,
                                                 const std::string& input_name, size_t begin) {
  inference::ModelInferRequest request;
  request.set_model_name(ShortName(FullName("models", options.model)));
  if (!options.version.empty()) request.set_model_version(options.version);
  auto* input = request.add_inputs();
  input->set_name(input_name);
  input->set_datatype("BYTES");
  size_t bytes = 0;
  int64_t count = 0;
  for (size_t i = begin; i < options.files.size() && count < int64_t{kBatchImages}; ++i) {
    HAQ_ASSIGN_OR_RETURN(std::string encoded, ReadTextFile(options.files[i]));
    if (count > 0 && bytes + encoded.size() > kBatchBytes) break;
    bytes += encoded.size();
    ++count;
    input->mutable_contents()->add_bytes_contents(std::move(encoded));
  }
  input->add_shape(count);
  return request;
}

Result<std::vector<Prediction>> InferAll(App* app, const InferOptions& options,
                                         std::string* version) {
  const std::string id = ShortName(FullName("models", options.model));
  HAQ_ASSIGN_OR_RETURN(const auto metadata, app->client().ModelMetadata(id));
  if (metadata.inputs_size() != 1) {
    return Unsupported("{} has {} inputs; images can be sent to networks with one", id,
                       metadata.inputs_size());
  }
  std::vector<Prediction> predictions;
  while (predictions.size() < options.files.size()) {
    const size_t begin = predictions.size();
    HAQ_ASSIGN_OR_RETURN(const auto request,
                         NextRequest(options, metadata.inputs(0).name(), begin));
    const int64_t count = request.inputs(0).shape(0);
    const auto response = app->client().ModelInfer(request);
    if (!response.ok()) {
      const auto last = options.files.begin() + static_cast<int64_t>(begin) + count;
      return response.status().WithContext(
          fmt::format("{}", fmt::join(options.files.begin() + begin, last, ", ")));
    }
    HAQ_ASSIGN_OR_RETURN(const auto rows, OutputRows(*response, count));
    for (const auto& row : rows) {
      predictions.push_back({options.files[predictions.size()], TopK(row, options.top)});
    }
    *version = response->model_version();
  }
  return predictions;
}

void PrintJson(const App& app, const InferOptions& options, const std::string& version,
               const std::vector<Prediction>& predictions,
               const google::protobuf::RepeatedPtrField<std::string>& class_names) {
  auto results = nlohmann::ordered_json::array();
  for (const Prediction& prediction : predictions) {
    auto top = nlohmann::ordered_json::array();
    for (const Ranked& ranked : prediction.top) {
      nlohmann::ordered_json entry{{"index", ranked.index}, {"score", ranked.score}};
      if (ranked.index < class_names.size()) entry["label"] = class_names[ranked.index];
      top.push_back(std::move(entry));
    }
    results.push_back({{"file", prediction.file}, {"top", std::move(top)}});
  }
  app.PrintJson({{"model", FullName("models", options.model)},
                 {"version", version},
                 {"results", std::move(results)}});
}

Result<int> Infer(App* app, InferOptions options) {
  const std::string separator = "/versions/";
  if (const size_t at = options.model.find(separator); at != std::string::npos) {
    options.version = options.model.substr(at + separator.size());
    options.model.resize(at);
  }
  HAQ_ASSIGN_OR_RETURN(const v1::Model model,
                       app->client().GetModel(FullName("models", options.model)));
  std::string version;
  HAQ_ASSIGN_OR_RETURN(const auto predictions, InferAll(app, options, &version));
  if (app->json()) {
    PrintJson(*app, options, version, predictions, model.class_names());
    return kExitOk;
  }
  Table table({{"FILE"},
               {"RANK", Align::kRight},
               {"CLASS", Align::kRight},
               {"LABEL"},
               {"SCORE", Align::kRight}});
  for (const Prediction& prediction : predictions) {
    for (size_t i = 0; i < prediction.top.size(); ++i) {
      const Ranked& ranked = prediction.top[i];
      table.Add({i == 0 ? prediction.file : "", std::to_string(i + 1), std::to_string(ranked.index),
                 ranked.index < model.class_names_size()
                     ? model.class_names(static_cast<int>(ranked.index))
                     : "-",
                 fmt::format("{:.4f}", ranked.score)});
    }
  }
  app->Print(table.Text());
  return kExitOk;
}

}  // namespace

void AddInferCommand(CLI::App* root, App* app) {
  auto options = std::make_shared<InferOptions>();
  CLI::App* command = app->AddCommand(
      root, "infer", "Ask the INT8 network what is on images",
      "haq infer resnet20 a.jpg b.jpg --top 5\nhaq infer resnet20/versions/2 a.jpg --json",
      [app, options] { return Infer(app, *options); });
  command->add_option("MODEL", options->model, "Name of the model, or NAME/versions/N")->required();
  command->add_option("FILES", options->files, "JPEG or PNG files")->required();
  command->add_option("--top", options->top, "So many classes for each image (default 5)")
      ->check(NumberFrom(1, 1e6))
      ->type_name("K");
}

}  // namespace haq::client
