#include "server/worker/console.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace haq::server::worker {
namespace {

using nlohmann::json;

json At(const json& report, const std::string& pointer) {
  const json::json_pointer path(pointer);
  return report.contains(path) ? report[path] : json();
}

std::string Percent(const json& value) {
  return value.is_number() ? fmt::format("{:.2f} %", value.get<double>() * 100) : "-";
}

constexpr size_t kShownFindings = 5;

// "12.9 %  conv1: what was found; what to do"
std::string Finding(const json& finding) {
  const auto text = [&](const char* key) { return finding.value(key, std::string("-")); };
  return fmt::format("{:>6}  {}: {}; {}\n",
                     fmt::format("{:.1f} %", finding.value("share", 0.0) * 100), text("tensor"),
                     text("text"), text("action"));
}

}  // namespace

void ConsoleListener::OnProgress(const pipeline::Progress& progress) {
  const int64_t total =
      progress.total == 0 && progress.phase == "evaluate" ? evaluation_images_ : progress.total;
  bar_.Update(progress.phase, progress.done, total, progress.images_per_second,
              UnitOfPhase(progress.phase));
}

void ConsoleListener::OnAccuracy(const pipeline::Accuracy& accuracy) {
  bar_.Note(fmt::format("FP32 {:.1f} %, INT8 {:.1f} %, agree {:.1f} %", accuracy.fp32_top1 * 100,
                        accuracy.int8_top1 * 100, accuracy.agreement * 100));
}

void ConsoleListener::OnWarning(const std::string& message) { bar_.Line("warning: " + message); }

int64_t CountImages(const data::FolderListing& listing, int64_t limit) {
  const auto count = static_cast<int64_t>(listing.entries.size());
  return limit > 0 ? std::min(limit, count) : count;
}

Result<data::FolderListing> ListImages(const std::string& folder, const std::string& labels_file) {
  std::optional<std::filesystem::path> labels;
  if (!labels_file.empty()) labels = labels_file;
  return data::ListFolder(folder, labels);
}

std::string SummarizeReport(const std::string& report_json) {
  const json report = json::parse(report_json, nullptr, /*allow_exceptions=*/false);
  if (!report.is_object()) return report_json;
  std::string text;
  for (const char* network : {"fp32", "int8"}) {
    if (!report.contains(network)) continue;
    text +=
        fmt::format("{}  top-1 {}  top-5 {}\n", network == std::string("fp32") ? "FP32" : "INT8",
                    Percent(At(report, fmt::format("/{}/top1", network))),
                    Percent(At(report, fmt::format("/{}/top5", network))));
  }
  if (report.contains("agreement")) {
    const json sqnr = At(report, "/sqnr_db");
    text += fmt::format("agreement {}  SQNR {}\n", Percent(At(report, "/agreement")),
                        sqnr.is_number() ? fmt::format("{:.2f} dB", sqnr.get<double>()) : "-");
  }
  text += fmt::format("{} images\n", At(report, "/images").dump());
  const json findings = At(report, "/diagnosis");
  for (size_t i = 0; i < std::min(findings.size(), kShownFindings); ++i) {
    text += Finding(findings[i]);
  }
  return text;
}

}  // namespace haq::server::worker
