#include "client/cli/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "client/cli/table.h"
#include "core/base/progress.h"

namespace haq::client {
namespace {

using nlohmann::json;

// The value at "a/b", or null.
json At(const json& document, const char* pointer) {
  const json::json_pointer path(pointer);
  return document.contains(path) ? document[path] : json();
}

std::string Percent(const json& value) {
  return value.is_number() ? FormatPercent(value.get<double>()) : "-";
}

std::string Number(const json& value, int digits) {
  return value.is_number() ? fmt::format("{:.{}f}", value.get<double>(), digits) : "-";
}

std::string Text(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_null()) return "-";
  return value.is_number_float() ? fmt::format("{:.6g}", value.get<double>()) : value.dump();
}

std::string Difference(const json& fp32, const json& int8) {
  if (!fp32.is_number() || !int8.is_number()) return "-";
  return fmt::format("{:+.2f} points", (int8.get<double>() - fp32.get<double>()) * 100);
}

// "86.33 to 88.17 %"
std::string Interval(const json& interval, const char* unit, bool sign) {
  if (!interval.is_array() || interval.size() != 2 || !interval[0].is_number() ||
      !interval[1].is_number()) {
    return "-";
  }
  const double low = interval[0].get<double>() * 100, high = interval[1].get<double>() * 100;
  return sign ? fmt::format("{:+.2f} to {:+.2f} {}", low, high, unit)
              : fmt::format("{:.2f} to {:.2f} {}", low, high, unit);
}

// How far top-1 and its change are to be trusted.
std::string Certainty(const json& report) {
  const json change = At(report, "/top1_change");
  if (!change.is_object()) return "";
  return fmt::format(
      "  95 %: FP32 {}, INT8 {}, change {}\n"
      "  only FP32 is right on {} images, only INT8 on {} (McNemar p = {})\n",
      Interval(At(report, "/fp32/top1_interval"), "%", false),
      Interval(At(report, "/int8/top1_interval"), "%", false),
      Interval(At(change, "/interval"), "points", true), Text(At(change, "/only_fp32")),
      Text(At(change, "/only_int8")), Number(At(change, "/p_value"), 3));
}

std::string Corrections(const json& report) {
  const json corrections = At(report, "/corrections");
  if (!corrections.is_object()) return "";
  std::string names;
  for (const auto& [name, on] : corrections.items()) {
    if (on == true) names += (names.empty() ? "" : ", ") + name;
  }
  return fmt::format("  corrections  {}\n", names.empty() ? "none" : names);
}

std::string Warnings(const json& report) {
  std::string text;
  for (const json& warning : At(report, "/warnings")) {
    text += fmt::format("  warning      {}\n", Text(warning));
  }
  return text;
}

std::string Accuracies(const json& report) {
  Table table({{""}, {"FP32", Align::kRight}, {"INT8", Align::kRight}, {"change", Align::kRight}});
  for (const char* figure : {"top1", "top5"}) {
    const json fp32 = At(report, fmt::format("/fp32/{}", figure).c_str());
    const json int8 = At(report, fmt::format("/int8/{}", figure).c_str());
    table.Add({figure == std::string_view("top1") ? "top-1" : "top-5", Percent(fp32), Percent(int8),
               Difference(fp32, int8)});
  }
  std::string text = table.Text(2) + Certainty(report);
  text +=
      fmt::format("  agreement {}   SQNR {} dB   {} images\n", Percent(At(report, "/agreement")),
                  Number(At(report, "/sqnr_db"), 2), Text(At(report, "/images")));
  const json rate = At(report, "/calibration/images_per_second");
  if (rate.is_number()) {
    text += fmt::format("  calibrated with {} images/s", Number(rate, 0));
    const json memory = At(report, "/calibration/peak_rss_bytes");
    if (memory.is_number()) {
      text += fmt::format(", {} at most", FormatBytes(static_cast<uint64_t>(memory.get<double>())));
    }
    text += '\n';
  }
  return text;
}

std::string Range(const json& range) {
  if (!range.is_array() || range.size() != 2) return Text(range);
  return fmt::format("[{}, {}]", Number(range[0], 3), Number(range[1], 3));
}

std::string WorstLayers(const json& report, int count) {
  std::vector<json> layers;
  for (const json& layer : At(report, "/layers")) {
    if (At(layer, "/sqnr_db").is_number()) layers.push_back(layer);
  }
  if (layers.empty() || count <= 0) return "";
  std::stable_sort(layers.begin(), layers.end(), [](const json& a, const json& b) {
    return a["sqnr_db"].get<double>() < b["sqnr_db"].get<double>();
  });
  layers.resize(std::min(layers.size(), static_cast<size_t>(count)));
  Table table({{"layer"},
               {"op"},
               {"scheme"},
               {"scale", Align::kRight},
               {"zero point", Align::kRight},
               {"range", Align::kRight},
               {"SQNR dB", Align::kRight}});
  for (const json& layer : layers) {
    table.Add({Text(At(layer, "/name")), Text(At(layer, "/op")), Text(At(layer, "/scheme")),
               Text(At(layer, "/scale")), Text(At(layer, "/zero_point")),
               Range(At(layer, "/range")), Number(At(layer, "/sqnr_db"), 1)});
  }
  return "  the layers that lose most\n" + table.Text(2);
}

std::string Diagnosis(const json& report, int count) {
  const json findings = At(report, "/diagnosis");
  std::string text;
  for (const json& finding : findings) {
    if (count-- <= 0) break;
    const json share = At(finding, "/share");
    text += fmt::format(
        "  {:>6}  {}: {}\n          {}\n",
        share.is_number() ? fmt::format("{:.1f} %", share.get<double>() * 100) : "-",
        Text(At(finding, "/tensor")), Text(At(finding, "/text")), Text(At(finding, "/action")));
  }
  return text.empty() ? ""
                      : "  what costs most, by its share of the noise, and what to do\n" + text;
}

}  // namespace

std::string FormatReport(std::string_view report_json, int worst_layers) {
  const json report = json::parse(report_json, nullptr, /*allow_exceptions=*/false);
  if (!report.is_object()) return std::string(report_json);
  return Warnings(report) + Corrections(report) + Accuracies(report) +
         WorstLayers(report, worst_layers) + Diagnosis(report, worst_layers);
}

}  // namespace haq::client
