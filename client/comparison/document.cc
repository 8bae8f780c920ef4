#include "client/comparison/document.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "client/comparison/certainty.h"

namespace haq::comparison {
namespace {

using nlohmann::ordered_json;

ordered_json Number(double value) {
  return std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr);
}

ordered_json ToJson(const eval::Interval& interval) {
  if (std::isnan(interval.low)) return nullptr;
  return {interval.low, interval.high};
}

ordered_json ToJson(const Top1Comparison& comparison) {
  if (std::isnan(comparison.p_value)) return nullptr;
  return {{"difference", Number(comparison.difference.value)},
          {"interval", ToJson(comparison.difference.interval)},
          {"only_first", comparison.only_first},
          {"only_second", comparison.only_second},
          {"p_value", Number(comparison.p_value)}};
}

ordered_json ToJson(const Difference& difference) {
  if (std::isnan(difference.value)) return nullptr;
  return {{"difference", Number(difference.value)}, {"interval", ToJson(difference.interval)}};
}

ordered_json ToJson(const Row& row, const Outcome& outcome, const Outcome* reference) {
  ordered_json json{{"name", outcome.name}, {"title", outcome.title}};
  json["job"] = outcome.job.empty() ? ordered_json(nullptr) : ordered_json(outcome.job);
  json["error"] = outcome.ok() ? ordered_json(nullptr) : ordered_json(outcome.error);
  json["top1"] = Number(outcome.top1);
  json["top1_interval"] = ToJson(Top1Interval(outcome, row));
  json["agreement"] = Number(outcome.agreement);
  json["agreement_interval"] = ToJson(AgreementInterval(outcome, row));
  json["sqnr_db"] = Number(outcome.sqnr_db);
  json["sqnr_interval"] = ToJson(SqnrInterval(outcome));
  const bool is_fp32 = &outcome == &row.fp32;
  json["top1_beside_fp32"] =
      is_fp32 ? ordered_json(nullptr) : ToJson(CompareTop1(row, row.fp32, outcome));
  const bool compare = reference != nullptr && reference != &outcome && !is_fp32;
  json["reference_top1_beside_this"] =
      compare ? ToJson(CompareTop1(row, outcome, *reference)) : ordered_json(nullptr);
  json["reference_sqnr_beside_this"] =
      compare ? ToJson(CompareSqnr(outcome, *reference)) : ordered_json(nullptr);
  return json;
}

ordered_json ToJson(const Row& row, const std::string& reference_name) {
  ordered_json json{{"model", row.model},
                    {"calibration", row.calibration},
                    {"calibration_images", row.calibration_images},
                    {"evaluation", row.evaluation},
                    {"images", row.images},
                    {"labelled_images", row.labelled_images}};
  json["pytorch_note"] =
      row.pytorch_note.empty() ? ordered_json(nullptr) : ordered_json(row.pytorch_note);
  const Outcome* reference = row.Find(reference_name);
  ordered_json outcomes = ordered_json::array();
  if (row.images > 0) outcomes.push_back(ToJson(row, row.fp32, reference));
  for (const auto* list : {&row.pytorch, &row.methods}) {
    for (const Outcome& outcome : *list) outcomes.push_back(ToJson(row, outcome, reference));
  }
  json["outcomes"] = std::move(outcomes);
  return json;
}

std::string Quote(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::string Cell(const ordered_json& value) {
  if (value.is_null()) return "";
  return value.is_string() ? Quote(value.get<std::string>()) : value.dump();
}

// `name` of the outcome, and its interval's two ends beside it.
void AddFigure(const ordered_json& value, const ordered_json& interval, std::string* line) {
  const bool known = interval.is_array();
  *line += ',' + Cell(value) + ',' + (known ? Cell(interval[0]) : "") + ',' +
           (known ? Cell(interval[1]) : "");
}

void AddTest(const ordered_json& test, std::string* line) {
  const ordered_json none;
  const bool known = test.is_object();
  AddFigure(known ? test["difference"] : none, known ? test["interval"] : none, line);
  *line += ',' + (known && test.contains("p_value") ? Cell(test["p_value"]) : "");
}

}  // namespace

ordered_json ToJson(const Comparison& comparison) {
  ordered_json models = ordered_json::array();
  for (const Row& row : comparison.rows) models.push_back(ToJson(row, comparison.reference));
  return {{"server", comparison.server},       {"scheme", comparison.scheme},
          {"weights", comparison.weights},     {"preset", comparison.preset},
          {"reference", comparison.reference}, {"models", std::move(models)}};
}

std::string ToCsv(const Comparison& comparison) {
  std::string text =
      "model,calibration,evaluation,images,name,title,top1,top1_low,top1_high,agreement,"
      "agreement_low,agreement_high,sqnr_db,sqnr_low,sqnr_high,top1_change,top1_change_low,"
      "top1_change_high,p_beside_fp32,reference_top1,reference_top1_low,reference_top1_high,"
      "p_beside_reference,reference_sqnr,reference_sqnr_low,reference_sqnr_high,job,error\r\n";
  const ordered_json document = ToJson(comparison);
  for (const ordered_json& model : document["models"]) {
    for (const ordered_json& outcome : model["outcomes"]) {
      std::string line = Cell(model["model"]);
      for (const char* field : {"calibration", "evaluation", "images"}) {
        line += ',' + Cell(model[field]);
      }
      line += ',' + Cell(outcome["name"]) + ',' + Cell(outcome["title"]);
      AddFigure(outcome["top1"], outcome["top1_interval"], &line);
      AddFigure(outcome["agreement"], outcome["agreement_interval"], &line);
      AddFigure(outcome["sqnr_db"], outcome["sqnr_interval"], &line);
      AddTest(outcome["top1_beside_fp32"], &line);
      AddTest(outcome["reference_top1_beside_this"], &line);
      const ordered_json& sqnr = outcome["reference_sqnr_beside_this"];
      const ordered_json none;
      AddFigure(sqnr.is_object() ? sqnr["difference"] : none,
                sqnr.is_object() ? sqnr["interval"] : none, &line);
      text += line + ',' + Cell(outcome["job"]) + ',' + Cell(outcome["error"]) + "\r\n";
    }
  }
  return text;
}

}  // namespace haq::comparison
