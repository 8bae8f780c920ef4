#include "core/pipeline/report.h"

#include <sys/resource.h>

#include <cmath>
#include <cstdlib>

#include "core/base/json_text.h"
#include "core/base/version.h"

namespace haq::pipeline {
namespace {

using nlohmann::json;

// JSON has no NaN and no infinity: null says "no figure".
json Number(double value) { return std::isfinite(value) ? json(value) : json(nullptr); }

json CorrectionsToJson(const Options& options) {
  const quant::Corrections corrections = Resolve(options);
  return {{"bias_correction", corrections.bias_correction},
          {"equalize", corrections.equalize},
          {"adaround", corrections.adaround}};
}

json WideToJson(const Options& options, const WideOutcome& wide) {
  return {{"count", options.wide_count}, {"tensors", wide.tensors}};
}

json WideAndCostToJson(const Options& options, const WideOutcome& wide) {
  json all = WideToJson(options, wide);
  all["ms_per_image_8bit"] = wide.cost ? Number(wide.cost->narrow_ms) : json(nullptr);
  all["ms_per_image"] = wide.cost ? Number(wide.cost->wide_ms) : json(nullptr);
  return all;
}

json ToJson(const eval::Interval& interval) {
  return {Number(interval.low), Number(interval.high)};
}

json ToJson(const quant::Range& range) { return {Number(range.low), Number(range.high)}; }

// How far the difference in top-1 is to be trusted.
json ChangeToJson(const eval::Comparison& comparison) {
  const eval::PairedCounts paired = comparison.paired_top1();
  return {{"difference", Number(comparison.int8_top1() - comparison.fp32_top1())},
          {"interval", ToJson(eval::PairedDifferenceInterval(paired))},
          {"only_fp32", paired.only_first},
          {"only_int8", paired.only_second},
          {"p_value", paired.images > 0 ? json(eval::McNemarExact(paired)) : json(nullptr)}};
}

// Enough for intervals, at half the bytes of all digits.
json FourDigits(const std::vector<float>& values) {
  json rounded = json::array();
  for (const float value : values) {
    rounded.push_back(Number(std::strtod(fmt::format("{:.4g}", value).c_str(), nullptr)));
  }
  return rounded;
}

json PredictionsToJson(const eval::Predictions& predictions) {
  return {{"label", predictions.label},
          {"fp32", predictions.fp32},
          {"int8", predictions.int8},
          {"signal", FourDigits(predictions.signal)},
          {"noise", FourDigits(predictions.noise)}};
}

json EqualizedToJson(const ir::Graph& graph, const correct::EqualizedPair& pair) {
  return {{"tensor", graph.values[pair.value].name},
          {"producer", pair.producer},
          {"consumers", pair.consumers},
          {"smallest_factor", pair.smallest_factor},
          {"largest_factor", pair.largest_factor},
          {"gain_db", Number(10 * std::log10(pair.noise_before / pair.noise_after))}};
}

json LearnedToJson(const ir::Graph& graph, const LearnedLayer& layer) {
  return {{"layer", graph.nodes[layer.node].name},
          {"outputs", layer.outputs},
          {"learned_outputs", layer.learned_outputs},
          {"gain_db", Number(10 * std::log10(layer.nearest_error / layer.error))}};
}

json HistogramToJson(const TensorFigures& figures) {
  if (figures.counts.empty()) return nullptr;
  return {{"low", figures.low},
          {"high", figures.high},
          {"counts", figures.counts},
          {"zeros", figures.zeros}};
}

json RangesToJson(const TensorFigures& figures) {
  json ranges;
  const std::vector<std::string> methods = quant::MethodNames();
  for (size_t i = 0; i < methods.size(); ++i) ranges[methods[i]] = ToJson(figures.ranges[i]);
  return ranges;
}

// null where nothing was measured, or nothing differs.
json DecibelToJson(const eval::Sqnr& sqnr) {
  return sqnr.noise() > 0 ? Number(sqnr.Decibel()) : json(nullptr);
}

json SensitivityToJson(const Sensitivity& sensitivity) {
  double tensors = 0, weights = 0, signal = 0;
  for (const TensorSensitivity& tensor : sensitivity.tensors()) {
    tensors += tensor.isolated.noise();
    weights += tensor.weights.noise();
    signal = std::max({signal, tensor.isolated.signal(), tensor.weights.signal()});
  }
  return {{"images", sensitivity.images()},
          {"summed_sqnr_db", Number(10 * std::log10(signal / (tensors + weights)))},
          {"tensors_share", Number(tensors / (tensors + weights))},
          {"weights_share", Number(weights / (tensors + weights))}};
}

json LayerToJson(const ReportInputs& in, size_t index) {
  const lower::TensorDecision& decision = in.lowered.decisions[index];
  const artifact::Tensor& tensor = in.lowered.model.tensors[decision.tensor];
  const quant::Range& observed = in.observed[decision.value];
  const TensorSensitivity& alone = in.sensitivity.tensors()[index];
  const double total = in.sensitivity.TotalNoise();
  return {{"name", tensor.name},
          {"op", decision.op},
          {"shape", tensor.shape},
          {"bits", tensor.type == artifact::DataType::kUint16 ? 16 : 8},
          {"scheme", quant::TensorSchemeName(decision.params.scheme)},
          {"reason", decision.params.reason},
          {"scale", tensor.scale},
          {"zero_point", tensor.zero_point},
          {"range", {decision.params.range.low, decision.params.range.high}},
          {"observed", {observed.low, observed.high}},
          {"ranges", RangesToJson(in.figures[index])},
          {"histogram", HistogramToJson(in.figures[index])},
          {"sqnr_db", Number(in.layer_sqnr_db[index])},
          {"isolated_sqnr_db", DecibelToJson(alone.isolated)},
          {"share", Number(alone.isolated.noise() / total)},
          {"weights_sqnr_db", DecibelToJson(alone.weights)},
          {"weights_share", alone.sum >= 0 ? Number(alone.weights.noise() / total) : nullptr}};
}

json SpeedToJson(const Speed& speed) {
  return {{"int8_ms", speed.int8_ms},
          {"fp32_ms", speed.fp32_ms},
          {"ratio", Number(speed.int8_ms / speed.fp32_ms)},
          {"rounds", speed.rounds},
          {"fp32_by", speed.fp32_by},
          {"kernels", speed.kernels}};
}

}  // namespace

int64_t PeakRssBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

json AccuracyToJson(double top1, const eval::Interval& top1_interval, double top5) {
  return {{"top1", Number(top1)}, {"top1_interval", ToJson(top1_interval)}, {"top5", Number(top5)}};
}

std::string MakeReport(const ReportInputs& in) {
  const auto rate = [](int64_t images, double seconds) {
    return Number(seconds > 0 ? double(images) / seconds : std::nan(""));
  };
  json layers = json::array();
  for (size_t i = 0; i < in.lowered.decisions.size(); ++i) layers.push_back(LayerToJson(in, i));
  json learned = json::array();
  for (const LearnedLayer& layer : in.learned_layers) {
    learned.push_back(LearnedToJson(in.graph, layer));
  }
  json equalized = json::array();
  for (const correct::EqualizedPair& pair : in.equalized) {
    equalized.push_back(EqualizedToJson(in.graph, pair));
  }
  json report = {
      {"version", kVersion},
      {"method", in.options.method},
      {"scheme", in.options.scheme},
      {"weights", in.options.weights},
      {"preset", in.options.preset},
      {"corrections", CorrectionsToJson(in.options)},
      {"wide", WideAndCostToJson(in.options, in.wide)},
      {"warnings", in.warnings},
      {"images", in.comparison.images()},
      {"labelled_images", in.comparison.labelled_images()},
      {"fp32", AccuracyToJson(in.comparison.fp32_top1(), in.comparison.fp32_top1_interval(),
                              in.comparison.fp32_top5())},
      {"int8", AccuracyToJson(in.comparison.int8_top1(), in.comparison.int8_top1_interval(),
                              in.comparison.int8_top5())},
      {"top1_change", ChangeToJson(in.comparison)},
      {"predictions", PredictionsToJson(in.comparison.predictions())},
      {"agreement", Number(in.comparison.agreement())},
      {"agreement_interval", ToJson(in.comparison.agreement_interval())},
      {"sqnr_db", Number(in.comparison.sqnr_db())},
      {"sqnr_interval", ToJson(in.comparison.sqnr_interval())},
      {"equalized", equalized},
      {"adaround", learned},
      {"layers", layers},
      {"layers_images", in.layer_sqnr_images},
      {"sensitivity", SensitivityToJson(in.sensitivity)},
      {"diagnosis", DiagnosisToJson(in.findings)},
      {"calibration",
       {{"images", in.calibration_images},
        {"seconds", in.calibration_seconds},
        {"images_per_second", rate(in.calibration_images, in.calibration_seconds)},
        {"peak_rss_bytes", PeakRssBytes()}}},
      {"evaluation",
       {{"seconds", in.evaluation_seconds},
        {"images_per_second", rate(in.comparison.images(), in.evaluation_seconds)}}},
      {"artifact", {{"size_bytes", in.artifact_bytes}}}};
  if (in.speed) report["speed"] = SpeedToJson(*in.speed);
  return JsonText(report);
}

std::string MakeMetadata(const Options& options, const lower::Lowered& lowered,
                         const WideOutcome& wide, const std::string& source_sha256,
                         int64_t calibration_images, const ir::Graph& graph,
                         const std::vector<quant::Range>& observed) {
  json tensors = json::array();
  for (const lower::TensorDecision& decision : lowered.decisions) {
    tensors.push_back({{"name", lowered.model.tensors[decision.tensor].name},
                       {"op", decision.op},
                       {"scheme", quant::TensorSchemeName(decision.params.scheme)},
                       {"reason", decision.params.reason}});
  }
  // What is added before it is rounded is no tensor; who has to round it wants to know how wide it
  // is.
  json sums = json::array();
  for (const lower::SumWeights& sum : lowered.sums) {
    if (sum.residual < 0) continue;
    const quant::Range& range = observed[graph.nodes[sum.node].output];
    sums.push_back(
        {{"layer", lowered.model.layers[sum.layer].name}, {"range", {range.low, range.high}}});
  }
  const json metadata = {{"producer", fmt::format("haq {}", kVersion)},
                         {"method", options.method},
                         {"scheme", options.scheme},
                         {"weights", options.weights},
                         {"preset", options.preset},
                         {"corrections", CorrectionsToJson(options)},
                         {"wide", WideToJson(options, wide)},
                         {"source_sha256", source_sha256},
                         {"calibration_images", calibration_images},
                         {"sums", sums},
                         {"tensors", tensors}};
  return metadata.dump();
}

}  // namespace haq::pipeline
