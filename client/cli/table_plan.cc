#include "client/cli/table_plan.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>

#include "client/lib/names.h"
#include "core/base/sha256.h"
#include "core/quant/corrections.h"
#include "core/quant/methods.h"
#include "core/quant/params.h"

namespace haq::client {
namespace {

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  if (!text.empty() && text.back() == separator) parts.emplace_back();
  return parts;
}

// Every method, the reference last.
std::vector<std::string> AllMethods() {
  std::vector<std::string> names = quant::MethodNames();
  std::stable_partition(names.begin(), names.end(),
                        [](const std::string& name) { return name != quant::kDefaultMethod; });
  return names;
}

// The first with redistribution, or else the last of all.
std::string ReferenceOf(const std::vector<MethodChoice>& methods) {
  const auto found = std::find_if(methods.begin(), methods.end(), [](const MethodChoice& choice) {
    return choice.method == quant::kDefaultMethod;
  });
  return found == methods.end() ? methods.back().name : found->name;
}

std::string Or(const std::string& value, std::string_view fallback) {
  return value.empty() ? std::string(fallback) : value;
}

Status CheckChoices(const TableOptions& options) {
  if (options.limit_calibration < 0) {
    return InvalidField("--limit-calibration", "must not be negative (0 is all)");
  }
  if (options.limit_evaluation < 0) {
    return InvalidField("--limit-evaluation", "must not be negative (0 is all)");
  }
  if (!options.scheme.empty()) {
    HAQ_RETURN_IF_ERROR(quant::ParseSchemePolicy(options.scheme, "--scheme").status());
  }
  if (!options.weights.empty()) {
    HAQ_RETURN_IF_ERROR(quant::ParseWeightGranularity(options.weights, "--weights").status());
  }
  return {};
}

}  // namespace

Result<std::vector<MethodChoice>> ParseMethods(const std::string& methods,
                                               const std::string& preset) {
  HAQ_RETURN_IF_ERROR(quant::CheckPreset(Or(preset, quant::kDefaultPreset), "--preset"));
  std::vector<MethodChoice> choices;
  for (const std::string& name : methods == "all" ? AllMethods() : Split(methods, ',')) {
    const size_t slash = name.find('/');
    MethodChoice choice{name, name.substr(0, slash), Or(preset, quant::kDefaultPreset)};
    HAQ_RETURN_IF_ERROR(quant::CheckMethod(choice.method, "--methods"));
    if (slash != std::string::npos) {
      choice.preset = name.substr(slash + 1);
      HAQ_RETURN_IF_ERROR(quant::CheckPreset(choice.preset, "--methods"));
    }
    const bool twice = std::any_of(choices.begin(), choices.end(),
                                   [&](const auto& other) { return other.name == name; });
    if (twice) return InvalidField("--methods", "\"{}\" is there twice", name);
    choices.push_back(std::move(choice));
  }
  if (choices.empty()) return InvalidField("--methods", "names no method");
  return choices;
}

Result<std::vector<ModelChoice>> ParseModels(const TableOptions& options) {
  std::vector<ModelChoice> choices;
  for (const std::string& text : Split(options.models, ',')) {
    const std::vector<std::string> parts = Split(text, ':');
    const bool empty_part = std::any_of(parts.begin(), parts.end(),
                                        [](const std::string& part) { return part.empty(); });
    if ((parts.size() != 1 && parts.size() != 3) || empty_part) {
      return InvalidField("--models", "\"{}\" is neither MODEL nor MODEL:CALIBRATION:EVALUATION",
                          text);
    }
    ModelChoice choice{parts[0], options.calibration, options.evaluation};
    if (parts.size() == 3) choice = {parts[0], parts[1], parts[2]};
    if (choice.calibration.empty() || choice.evaluation.empty()) {
      return InvalidField("--models",
                          "\"{}\" has no datasets: write {}:CALIBRATION:EVALUATION, or give "
                          "--calibration and --evaluation",
                          text, text);
    }
    choices.push_back(std::move(choice));
  }
  if (choices.empty()) return InvalidField("--models", "names no model");
  return choices;
}

Result<TablePlan> MakePlan(Client& client, const TableOptions& options) {
  TablePlan plan;
  HAQ_RETURN_IF_ERROR(CheckChoices(options));
  HAQ_ASSIGN_OR_RETURN(plan.methods, ParseMethods(options.methods, options.preset));
  HAQ_ASSIGN_OR_RETURN(const auto choices, ParseModels(options));
  plan.reference = ReferenceOf(plan.methods);
  plan.preset = Or(options.preset, quant::kDefaultPreset);
  plan.scheme = Or(options.scheme, "hybrid");
  plan.weights = Or(options.weights, "per_channel");
  for (const ModelChoice& choice : choices) {
    PlannedModel planned;
    HAQ_ASSIGN_OR_RETURN(planned.model, client.GetModel(FullName("models", choice.model)));
    HAQ_ASSIGN_OR_RETURN(planned.calibration,
                         client.GetDataset(FullName("datasets", choice.calibration)));
    HAQ_ASSIGN_OR_RETURN(planned.evaluation,
                         client.GetDataset(FullName("datasets", choice.evaluation)));
    plan.models.push_back(std::move(planned));
  }
  return plan;
}

v1::CalibrationSpec SpecOf(const TableOptions& options, const TablePlan& plan,
                           const PlannedModel& model, const MethodChoice& method) {
  v1::CalibrationSpec spec;
  spec.set_model(model.model.name());
  spec.set_calibration_dataset(model.calibration.name());
  spec.set_evaluation_dataset(model.evaluation.name());
  spec.set_method(method.method);
  spec.set_preset(method.preset);
  spec.set_scheme(plan.scheme);
  spec.set_weights(plan.weights);
  spec.set_limit_calibration(options.limit_calibration);
  spec.set_limit_evaluation(options.limit_evaluation);
  return spec;
}

std::string RequestIdOf(const std::string& server_version, const PlannedModel& model,
                        const v1::CalibrationSpec& spec, int attempt) {
  Sha256 hash;
  hash.Update(fmt::format("haq table\n{}\n{}\n{}\n{}\n", server_version, attempt,
                          model.model.sha256(), model.model.preprocess_json()));
  hash.Update(fmt::format("{}\n", fmt::join(model.model.input_shape(), ",")));
  for (const v1::Dataset* dataset : {&model.calibration, &model.evaluation}) {
    for (const auto& shard : dataset->shards()) hash.Update(shard.sha256() + "\n");
    hash.Update("\n");
  }
  // The same bytes for the same spec: it has no maps.
  hash.Update(spec.SerializeAsString());
  return ToHex(hash.Finish()).substr(0, 32);
}

}  // namespace haq::client
