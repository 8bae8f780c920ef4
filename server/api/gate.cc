#include "server/api/gate.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace haq::server::api {
namespace {

using nlohmann::ordered_json;

// Fractions become percent in floating point: 0.5 points must not miss a limit of 0.5.
constexpr double kSlack = 1e-9;

class Judgement {
 public:
  void Check(const char* name, double limit, std::optional<double> value, bool holds,
             const std::string& missed) {
    const bool passed = value.has_value() && holds;
    checks_.push_back({{"name", name},
                       {"limit", limit},
                       {"value", value ? ordered_json(*value) : ordered_json(nullptr)},
                       {"passed", passed}});
    if (passed) return;
    if (!reason_.empty()) reason_ += "; ";
    reason_ += value ? missed : fmt::format("--{}: the evaluation has no such figure", name);
  }
  Verdict Get() const {
    if (checks_.empty()) return {};
    const ordered_json gate = {{"passed", reason_.empty()}, {"checks", checks_}};
    return {reason_.empty(), reason_, gate.dump()};
  }

 private:
  ordered_json checks_ = ordered_json::array();
  std::string reason_;
};

Status CheckPercent(const char* field, double value) {
  // Not a number compares false with everything.
  if (value >= 0 && value <= 100) return {};
  return InvalidField(field, "must be 0 to 100, found {}", value);
}

}  // namespace

Verdict Judge(const haq::v1::CalibrationSpec& spec, const ServedFigures& figures) {
  Judgement judgement;
  if (spec.has_max_drop()) {
    std::optional<double> drop;
    if (figures.fp32_top1 && figures.int8_top1) {
      drop = 100 * (*figures.fp32_top1 - *figures.int8_top1);
    }
    judgement.Check("max-drop", spec.max_drop(), drop, drop.value_or(0) <= spec.max_drop() + kSlack,
                    fmt::format("top-1 drops by {:.2f} points, --max-drop allows {}",
                                drop.value_or(0), spec.max_drop()));
  }
  if (spec.has_min_agreement()) {
    std::optional<double> percent;
    if (figures.agreement) percent = 100 * *figures.agreement;
    judgement.Check("min-agreement", spec.min_agreement(), percent,
                    percent.value_or(0) >= spec.min_agreement() - kSlack,
                    fmt::format("INT8 and FP32 agree on {:.2f} % of the images, --min-agreement "
                                "wants {} %",
                                percent.value_or(0), spec.min_agreement()));
  }
  if (spec.not_slower()) {
    // The limit is a figure too; without it there is nothing to keep.
    const auto int8 = figures.fp32_ms ? figures.int8_ms : std::nullopt;
    const double fp32 = figures.fp32_ms.value_or(0);
    judgement.Check("not-slower", fp32, int8, int8.value_or(0) <= fp32,
                    fmt::format("INT8 takes {:.3f} ms for an image, FP32 {:.3f} ms, --not-slower "
                                "wants at most as much",
                                int8.value_or(0), fp32));
  }
  return judgement.Get();
}

std::string WithVerdict(const std::string& report_json, const Verdict& verdict) {
  if (verdict.gate_json.empty()) return report_json;
  ordered_json report = ordered_json::parse(report_json, nullptr, false);
  if (!report.is_object()) return report_json;
  report["gate"] = ordered_json::parse(verdict.gate_json);
  return report.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

Status CheckGate(const haq::v1::CalibrationSpec& spec) {
  if (spec.has_max_drop()) HAQ_RETURN_IF_ERROR(CheckPercent("spec.max_drop", spec.max_drop()));
  if (spec.has_min_agreement()) {
    HAQ_RETURN_IF_ERROR(CheckPercent("spec.min_agreement", spec.min_agreement()));
  }
  return {};
}

}  // namespace haq::server::api
