#include "server/api/figures.h"

#include <nlohmann/json.hpp>

namespace haq::server::api {
namespace {

using nlohmann::json;

std::optional<double> NumberAt(const json& report, const char* pointer) {
  const json::json_pointer at(pointer);
  if (!report.contains(at) || !report.at(at).is_number()) return std::nullopt;
  return report.at(at).get<double>();
}

}  // namespace

ServedFigures FiguresOf(const std::string& report_json, int64_t version) {
  const json report = json::parse(report_json, nullptr, false);
  return {.version = version,
          .fp32_top1 = NumberAt(report, "/fp32/top1"),
          .int8_top1 = NumberAt(report, "/int8/top1"),
          .agreement = NumberAt(report, "/agreement"),
          .sqnr_db = NumberAt(report, "/sqnr_db"),
          .int8_ms = NumberAt(report, "/speed/int8_ms"),
          .fp32_ms = NumberAt(report, "/speed/fp32_ms")};
}

}  // namespace haq::server::api
