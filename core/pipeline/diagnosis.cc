#include "core/pipeline/diagnosis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/calib/distribution.h"
#include "core/quant/methods.h"

namespace haq::pipeline {
namespace {

using nlohmann::json;

// What makes less of the noise than this is not worth a line: without it the output's SQNR would be
// 0.04 dB better.
constexpr double kWorthNaming = 0.01;

// Two of a tensor's eight bits serve less than a thousandth of its values: without them, rounding
// would make 12 dB less noise. (99.9 % of a normal distribution lie within a third to a half of the
// range of a million values, those of an exponential one within half of it.)
constexpr double kBulk = 0.999, kOutlierRatio = 4;

// Calibration balances clipping against rounding, at which at most some 0.1 % of the values are
// clipped; the evaluated images are no different when a few times as many are.
constexpr double kSaturatedShare = 0.001, kSaturatedRatio = 4;

// An input of an add or a concatenation whose scale is a quarter of the result's has lost two bits.
constexpr double kScaleRatio = 4;

// Half of a layer's channels have at most five of their eight bits.
constexpr double kSpreadRatio = 8;

// Below that many values, a channel may well be zero by chance.
constexpr int64_t kDeadChannelValues = 1000;

// How many channels a finding lists.
constexpr size_t kListedChannels = 16;

// Another method is worth trying when its range has this much less expected error (1 dB).
constexpr double kBetterMethod = 0.8;

double Width(const quant::Range& range) {
  return std::max(range.high, 0.0) - std::min(range.low, 0.0);
}

std::string ToText(const quant::Range& range) {
  return fmt::format("[{:.4g}, {:.4g}]", range.low, range.high);
}

std::string Percent(double share) { return fmt::format("{:.2g} %", share * 100); }

std::string Wide(const std::string& name) {
  return fmt::format("keep it at 16 bits: --wide {}", name);
}

// Of one tensor.
class Examination {
 public:
  Examination(const DiagnosisInputs& in, size_t index)
      : in_(in),
        index_(index),
        decision_(in.lowered.decisions[index]),
        tensor_(in.lowered.model.tensors[decision_.tensor]),
        alone_(in.sensitivity.tensors()[index]),
        total_(in.sensitivity.TotalNoise()) {}

  std::vector<Finding> Run() {
    if (alone_.origin.rounds && Share() >= kWorthNaming) {
      const bool narrow = tensor_.type == artifact::DataType::kUint8;
      if (narrow) FindRangeOutlier();
      FindSaturation();
      if (narrow) FindMismatchedInputs();
      if (narrow) FindSharedScale();
      if (narrow && findings_.empty()) FindResolution();
    }
    if (alone_.sum >= 0 && WeightsShare() >= kWorthNaming && !FindWeightSpread()) FindWeights();
    FindDeadChannels();
    return std::move(findings_);
  }

 private:
  double Share() const { return total_ > 0 ? alone_.isolated.noise() / total_ : 0; }
  double WeightsShare() const { return total_ > 0 ? alone_.weights.noise() / total_ : 0; }

  void Add(double share, std::string finding, json figures, std::string text, std::string action) {
    findings_.push_back({tensor_.name, share, std::move(finding), std::move(figures),
                         std::move(text), std::move(action)});
  }

  // The range of all but a thousandth of the values that are not zero.
  quant::Range Bulk(const calib::Distribution& distribution) const {
    const double tail =
        (1 - kBulk) / 2 * (1 - distribution.zeros() / std::max(distribution.count(), 1.0));
    return {distribution.Quantile(tail), distribution.Quantile(1 - tail)};
  }

  // The method whose range has the least expected error, when that is worth it. The default comes
  // first, and stays unless another is better by as much again.
  std::string BetterMethod(const calib::Distribution& distribution) const {
    const auto error = [&](const quant::Range& range) {
      const auto policy = *quant::ParseSchemePolicy(in_.options.scheme);
      const auto params = quant::ChooseTensorParams(range, policy);
      return params.ok() ? distribution.ExpectedSquaredError(params->scale, params->zero_point)
                         : HUGE_VAL;
    };
    double least =
        kBetterMethod * distribution.ExpectedSquaredError(tensor_.scale, tensor_.zero_point);
    std::string best;
    const std::vector<std::string> methods = quant::MethodNames();
    for (size_t i = 0; i < methods.size(); ++i) {
      const double candidate = error(in_.figures[index_].ranges[i]);
      if (methods[i] == in_.options.method || candidate >= kBetterMethod * least) continue;
      least = candidate;
      best = methods[i];
    }
    return best;
  }

  void FindRangeOutlier() {
    const calib::Distribution distribution(in_.calibrator.SummaryOf(decision_.value));
    const quant::Range bulk = Bulk(distribution), range = decision_.params.range;
    if (Width(bulk) == 0 || Width(range) < kOutlierRatio * Width(bulk)) return;
    const double ratio = Width(range) / Width(bulk);
    const std::string better = BetterMethod(distribution);
    Add(Share(), "range_outlier",
        {{"range", {range.low, range.high}}, {"bulk", {bulk.low, bulk.high}}, {"ratio", ratio}},
        fmt::format("its range {} is {:.1f} times that of 99.9 % of its values, {}", ToText(range),
                    ratio, ToText(bulk)),
        better.empty() ? Wide(tensor_.name)
                       : fmt::format("let the range leave them out: --method {}; or {}", better,
                                     Wide(tensor_.name)));
  }

  void FindSaturation() {
    if (alone_.values == 0) return;
    const double half = tensor_.scale / 2;
    const quant::Range& range = decision_.params.range;
    const calib::Distribution distribution(in_.calibrator.SummaryOf(decision_.value));
    double calibrated =
        distribution.count() - distribution.zeros() - distribution.CountBelow(range.high + half);
    auto evaluated = static_cast<double>(alone_.above);
    // What a max pooling leaves out may lie below the range: it was chosen for what comes out.
    if (calib::DecidingValues(in_.graph)[decision_.value] == decision_.value) {
      calibrated += distribution.CountBelow(range.low - half);
      evaluated += static_cast<double>(alone_.below);
    }
    calibrated /= distribution.count();
    evaluated /= static_cast<double>(alone_.values);
    if (evaluated < kSaturatedShare || evaluated < kSaturatedRatio * calibrated) return;
    const int64_t images = in_.calibrator.images();
    const std::string more =
        fmt::format("calibrate with more images, and such as are evaluated ({} were used)", images);
    Add(Share(), "saturation",
        {{"evaluated_share", evaluated},
         {"calibrated_share", calibrated},
         {"calibration_images", images}},
        fmt::format("{} of its values lie beyond its range {}, in calibration {} did",
                    Percent(evaluated), ToText(range), Percent(calibrated)),
        in_.options.method == "minmax" ? more : more + "; or --method minmax");
  }

  // Inputs of this add or concatenation that its scale takes bits from.
  void FindMismatchedInputs() {
    const artifact::Layer* layer = LayerOf(decision_.tensor);
    if (layer == nullptr) return;
    std::vector<int32_t> inputs = layer->inputs;
    if (std::holds_alternative<artifact::Conv2d>(layer->op) ||
        std::holds_alternative<artifact::WideConv2d>(layer->op)) {
      inputs.erase(inputs.begin());  // what is left is added to the convolution's sums
    } else if (!std::holds_alternative<artifact::Add>(layer->op) &&
               !std::holds_alternative<artifact::WideAdd>(layer->op) &&
               !std::holds_alternative<artifact::Concat>(layer->op)) {
      return;
    }
    const artifact::Tensor* finest = nullptr;
    for (int32_t input : inputs) {
      // A concatenation's inputs have its scale already, some by a table before it.
      const artifact::Layer* producer = LayerOf(input);
      if (producer != nullptr && std::holds_alternative<artifact::Concat>(layer->op) &&
          std::holds_alternative<artifact::Table>(producer->op) && !IsDecision(input)) {
        input = producer->inputs[0];
      }
      const artifact::Tensor& candidate = in_.lowered.model.tensors[input];
      if (candidate.type != artifact::DataType::kUint8) continue;
      if (finest == nullptr || candidate.scale < finest->scale) finest = &candidate;
    }
    if (finest == nullptr || tensor_.scale < kScaleRatio * finest->scale) return;
    AddMismatch(finest->name, finest->scale);
  }

  // A tensor that shares the scale of a concatenation which others make much coarser than it needs.
  void FindSharedScale() {
    const auto own = quant::ChooseTensorParams(in_.observed[decision_.value],
                                               *quant::ParseSchemePolicy(in_.options.scheme));
    if (!own.ok() || tensor_.scale < kScaleRatio * own->scale || !SharesAConcat()) return;
    AddMismatch(tensor_.name, own->scale);
  }

  void AddMismatch(const std::string& input, double scale) {
    const double bits = std::log2(tensor_.scale / scale);
    const bool shared = input == tensor_.name;
    Add(Share(), "mismatched_scales",
        {{"input", input}, {"input_scale", scale}, {"scale", tensor_.scale}, {"bits_lost", bits}},
        shared ? fmt::format("it loses {:.1f} of its 8 bits to the scale that it shares with what "
                             "it is concatenated with ({:.3g}; {:.3g} would do)",
                             bits, tensor_.scale, scale)
               : fmt::format("its scale {:.3g} takes {:.1f} of 8 bits from its input \"{}\", whose "
                             "scale is {:.3g}",
                             tensor_.scale, bits, input, scale),
        Wide(tensor_.name));
  }

  void FindResolution() {
    const double gain = -10 * std::log10(1 - std::min(Share(), 0.999));
    Add(Share(), "resolution", {{"scale", tensor_.scale}, {"gain_db", gain}},
        fmt::format("8 bits are few for its range {}: without its rounding the output would have "
                    "{:.2f} dB more",
                    ToText(decision_.params.range), gain),
        Wide(tensor_.name));
  }

  bool FindWeightSpread() {
    const quant::QuantizedWeights& weights = in_.lowered.sums[alone_.sum].weights;
    if (in_.options.weights != "per_tensor") return false;
    std::vector<double> largest = LargestWeights();
    const double scale = weights.scales[0] * 127;
    const int64_t lost = std::count_if(largest.begin(), largest.end(), [&](double x) {
      return x > 0 && x < weights.scales[0] / 2;
    });
    std::nth_element(largest.begin(), largest.begin() + largest.size() / 2, largest.end());
    const double median = largest[largest.size() / 2];
    if (scale < kSpreadRatio * median) return false;
    const double bits = median > 0 ? std::log2(scale / median) : 8;
    Add(WeightsShare(), "weight_spread",
        {{"largest", scale}, {"median", median}, {"bits_lost", bits}, {"channels_lost", lost}},
        fmt::format("its largest weight is {:.3g}, that of half of its channels at most {:.3g}, "
                    "which leaves them {:.1f} bits less; {} channels round to zero",
                    scale, median, bits, lost),
        in_.options.equalize.value_or(Resolve(in_.options).equalize)
            ? "give each channel its own scale: --weights per_channel"
            : "give each channel its own scale: --weights per_channel; or even them out: "
              "--equalize on");
    return true;
  }

  void FindWeights() {
    const quant::Corrections corrections = Resolve(in_.options);
    std::string action =
        "train the network further with its weights rounded: no other rounding of them helps";
    if (!corrections.adaround) action = "learn how they are rounded: --adaround on";
    if (in_.options.weights == "per_tensor") {
      action = "give each channel its own scale: --weights per_channel";
    }
    const double gain = -10 * std::log10(1 - std::min(WeightsShare(), 0.999));
    Add(WeightsShare(), "weights", {{"gain_db", gain}},
        fmt::format("the rounding of its layer's weights alone costs the output {:.2f} dB", gain),
        std::move(action));
  }

  void FindDeadChannels() {
    std::vector<size_t> dead;
    const auto channels = static_cast<int64_t>(alone_.dead.size());
    const bool judged = channels > 0 && alone_.values / channels >= kDeadChannelValues;
    const std::vector<double> weights = LargestWeights();
    for (size_t c = 0; c < alone_.dead.size(); ++c) {
      if ((judged && alone_.dead[c]) || (!weights.empty() && weights[c] == 0)) dead.push_back(c);
    }
    if (dead.empty()) return;
    const std::vector<size_t> listed(dead.begin(),
                                     dead.begin() + std::min(dead.size(), kListedChannels));
    Add(0, "dead_channels", {{"count", dead.size()}, {"of", channels}, {"channels", listed}},
        fmt::format("{} of its {} channels are zero for every image, or have no weights: {}{}",
                    dead.size(), channels, fmt::join(listed, ", "),
                    dead.size() > listed.size() ? ", ..." : ""),
        "take these channels out of the network: they take time and say nothing");
  }

  // By output channel, of the layer that makes the tensor; empty without weights.
  std::vector<double> LargestWeights() const {
    if (alone_.sum < 0) return {};
    const ir::Op& op = in_.graph.nodes[in_.lowered.sums[alone_.sum].node].op;
    const auto* conv = std::get_if<ir::Conv2d>(&op);
    const ir::Constant& weight = conv ? conv->weight : std::get<ir::Linear>(op).weight;
    std::vector<double> largest(weight.shape[0]);
    const size_t each = weight.data.size() / largest.size();
    for (size_t i = 0; i < weight.data.size(); ++i) {
      largest[i / each] = std::max(largest[i / each], std::abs(double(weight.data[i])));
    }
    return largest;
  }

  const artifact::Layer* LayerOf(int32_t tensor) const {
    for (const artifact::Layer& layer : in_.lowered.model.layers) {
      if (layer.output == tensor) return &layer;
    }
    return nullptr;
  }
  bool IsDecision(int32_t tensor) const {
    return std::any_of(in_.lowered.decisions.begin(), in_.lowered.decisions.end(),
                       [&](const auto& decision) { return decision.tensor == tensor; });
  }
  bool SharesAConcat() const {
    for (size_t i = 0; i < in_.lowered.decisions.size(); ++i) {
      if (in_.sensitivity.tensors()[i].origin.set == alone_.origin.set &&
          in_.lowered.decisions[i].op == "concat") {
        return true;
      }
    }
    return false;
  }

  const DiagnosisInputs& in_;
  const size_t index_;
  const lower::TensorDecision& decision_;
  const artifact::Tensor& tensor_;
  const TensorSensitivity& alone_;
  const double total_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> Diagnose(const DiagnosisInputs& inputs) {
  std::vector<Finding> findings;
  for (size_t i = 0; i < inputs.lowered.decisions.size(); ++i) {
    for (Finding& finding : Examination(inputs, i).Run()) findings.push_back(std::move(finding));
  }
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return a.share > b.share; });
  return findings;
}

json DiagnosisToJson(const std::vector<Finding>& findings) {
  json list = json::array();
  for (const Finding& finding : findings) {
    list.push_back({{"tensor", finding.tensor},
                    {"share", finding.share},
                    {"finding", finding.finding},
                    {"figures", finding.figures},
                    {"text", finding.text},
                    {"action", finding.action}});
  }
  return list;
}

}  // namespace haq::pipeline
