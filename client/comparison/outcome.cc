#include "client/comparison/outcome.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace haq::comparison {
namespace {

using nlohmann::json;

double Figure(const json& value) { return value.is_number() ? value.get<double>() : kNoFigure; }

std::vector<float> Floats(const json& list) {
  std::vector<float> values;
  for (const json& value : list) values.push_back(static_cast<float>(Figure(value)));
  return values;
}

// A list of class indices or labels; null is "none".
std::vector<int32_t> Classes(const json& list) {
  std::vector<int32_t> classes;
  for (const json& value : list) classes.push_back(value.is_null() ? -1 : value.get<int32_t>());
  return classes;
}

// An SQNR of null says that nothing differs where every image has its noise, of 0.
double SqnrOf(const json& value, const std::vector<float>& noise) {
  const bool no_noise =
      !noise.empty() && std::all_of(noise.begin(), noise.end(), [](float v) { return v == 0; });
  if (value.is_null() && no_noise) return std::numeric_limits<double>::infinity();
  return Figure(value);
}

void SetFp32(double top1, std::vector<int32_t> classes, Row* row) {
  row->fp32.name = "fp32";
  row->fp32.title = "FP32";
  row->fp32.top1 = top1;
  row->fp32.classes = std::move(classes);
}

void ReadReport(const json& report, Outcome* outcome, Row* row) {
  const json& predictions = report.at("predictions");
  outcome->top1 = Figure(report.at("int8").at("top1"));
  outcome->agreement = Figure(report.at("agreement"));
  outcome->classes = Classes(predictions.at("int8"));
  outcome->signal = Floats(predictions.at("signal"));
  outcome->noise = Floats(predictions.at("noise"));
  outcome->sqnr_db = SqnrOf(report.at("sqnr_db"), outcome->noise);
  row->images = report.at("images").get<int64_t>();
  row->labelled_images = report.at("labelled_images").get<int64_t>();
  row->calibration_images = report.at("calibration").at("images").get<int64_t>();
  row->labels = Classes(predictions.at("label"));
  SetFp32(Figure(report.at("fp32").at("top1")), Classes(predictions.at("fp32")), row);
}

Outcome ReadRun(const json& run) {
  Outcome outcome;
  const std::string observer = run.at("observer").get<std::string>();
  outcome.name = "pytorch/" + observer;
  outcome.title = "PyTorch " + MethodTitle(observer);
  outcome.top1 = Figure(run.at("top1"));
  outcome.agreement = Figure(run.at("agreement"));
  outcome.classes = Classes(run.at("predictions"));
  outcome.signal = Floats(run.at("signal"));
  outcome.noise = Floats(run.at("noise"));
  outcome.sqnr_db = SqnrOf(run.at("sqnr_db"), outcome.noise);
  return outcome;
}

// Of the images that both lists have.
int64_t CountDifferent(const std::vector<int32_t>& a, const std::vector<int32_t>& b) {
  int64_t different = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) different += a[i] != b[i];
  return different;
}

Status ReadPeer(const json& peer, Row* row) {
  const int64_t images = peer.at("images").get<int64_t>();
  if (row->images == 0) {
    row->images = images;
    row->calibration_images = peer.at("calibration_images").get<int64_t>();
    row->labels = Classes(peer.at("labels"));
    row->labelled_images = std::count_if(row->labels.begin(), row->labels.end(),
                                         [](int32_t label) { return label >= 0; });
    SetFp32(Figure(peer.at("fp32").at("top1")), Classes(peer.at("fp32").at("predictions")), row);
  } else {
    if (images != row->images || CountDifferent(Classes(peer.at("labels")), row->labels) > 0) {
      return InternalError("PyTorch saw other images than the jobs did: {} and {}", images,
                           row->images);
    }
    const int64_t different =
        CountDifferent(Classes(peer.at("fp32").at("predictions")), row->fp32.classes);
    if (different * 100 > images) {
      row->pytorch_note =
          fmt::format("PyTorch's FP32 network answers otherwise than ours on {} of {} images",
                      different, images);
    }
  }
  for (const json& run : peer.at("runs")) row->pytorch.push_back(ReadRun(run));
  return {};
}

}  // namespace

const Outcome* Row::BestPytorch() const {
  const Outcome* best = nullptr;
  for (const Outcome& outcome : pytorch) {
    if (outcome.ok() && (best == nullptr || outcome.sqnr_db > best->sqnr_db)) best = &outcome;
  }
  return best;
}

const Outcome* Row::Find(std::string_view name) const {
  const auto found = std::find_if(methods.begin(), methods.end(),
                                  [name](const Outcome& outcome) { return outcome.name == name; });
  return found == methods.end() ? nullptr : &*found;
}

std::string MethodTitle(std::string_view method) {
  static const std::map<std::string, std::string, std::less<>> kTitles = {
      {"moving_minmax", "Moving MinMax"},
      {"minmax", "MinMax"},
      {"histogram", "Histogram"},
      {"percentile", "Percentile"},
      {"kl", "KL"},
      {"redistribution", "Activation Redistribution"}};
  const size_t slash = method.find('/');
  const auto title = kTitles.find(method.substr(0, slash));
  if (title == kTitles.end()) return std::string(method);
  if (slash == std::string_view::npos) return title->second;
  return fmt::format("{} ({})", title->second, method.substr(slash + 1));
}

Status AddReport(std::string_view report_json, Outcome outcome, Row* row) {
  const std::vector<int32_t> labels = row->labels;
  try {
    outcome.report = json::parse(report_json);
    ReadReport(outcome.report, &outcome, row);
  } catch (const json::exception& error) {
    return InternalError("the report of {} is not as expected: {}", outcome.job, error.what());
  }
  if (!row->methods.empty() && labels != row->labels && !labels.empty()) {
    return InternalError("the report of {} is about other images than those before it",
                         outcome.job);
  }
  row->methods.push_back(std::move(outcome));
  return {};
}

Status AddPeer(std::string_view peer_json, Row* row) {
  try {
    return ReadPeer(json::parse(peer_json), row);
  } catch (const json::exception& error) {
    return InternalError("what the PyTorch peer printed is not as expected: {}", error.what());
  }
}

}  // namespace haq::comparison
