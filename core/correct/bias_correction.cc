#include "core/correct/bias_correction.h"

#include "core/correct/tap_coverage.h"

namespace haq::correct {
namespace {

class Corrector {
 public:
  Corrector(const ir::Graph& graph, const lower::Lowered& lowered)
      : graph_(graph), lowered_(lowered), decision_of_value_(graph.values.size(), -1) {
    for (size_t i = 0; i < lowered.decisions.size(); ++i) {
      decision_of_value_[lowered.decisions[i].value] = static_cast<int>(i);
    }
  }

  std::vector<ChannelStatistics::Wanted> Needs() const {
    std::vector<bool> wanted(graph_.values.size());
    std::vector<ChannelStatistics::Wanted> needs;
    const auto want = [&](ir::ValueId value) {
      if (value < 0 || wanted[value]) return;
      const int decision = decision_of_value_[StoredValue(value)];
      if (decision < 0) return;
      wanted[value] = true;
      const lower::TensorDecision& made = lowered_.decisions[decision];
      const bool wide = lowered_.model.tensors[made.tensor].type == artifact::DataType::kUint16;
      needs.push_back({value, made.params, wide ? 65536 : 256});
    };
    for (const lower::SumWeights& sum : lowered_.sums) {
      want(graph_.nodes[sum.node].inputs[0]);
      want(sum.residual);
    }
    return needs;
  }

  // The mean error of each output channel of one layer; empty where nothing is known of its input.
  std::vector<double> MeanErrors(const lower::SumWeights& sum,
                                 const ChannelStatistics& statistics) const {
    const ir::Node& node = graph_.nodes[sum.node];
    const auto input = statistics.Of(node.inputs[0]);
    if (!input || input->rounding_mean.empty()) return {};
    std::vector<double> errors;
    if (const auto* conv = std::get_if<ir::Conv2d>(&node.op)) {
      errors = ConvErrors(node, *conv, sum.weights, *input);
    } else if (const auto* linear = std::get_if<ir::Linear>(&node.op)) {
      errors = LinearErrors(node, *linear, sum.weights, *input);
    } else if (const auto* affine = std::get_if<ir::ChannelAffine>(&node.op)) {
      for (size_t c = 0; c < affine->scale.size(); ++c) {
        errors.push_back(TermError(Real(sum.weights, c, 1, 0), affine->scale[c], *input, c));
      }
    }
    if (sum.residual >= 0) {
      const auto residual = statistics.Of(sum.residual);
      for (size_t c = 0; residual && c < errors.size(); ++c)
        errors[c] += residual->rounding_mean[c];
    }
    return errors;
  }

 private:
  // A flattening that a linear layer reads through has no tensor of its own.
  ir::ValueId StoredValue(ir::ValueId value) const {
    while (decision_of_value_[value] < 0) {
      const int producer = graph_.ProducerOf(value);
      if (producer < 0 || !std::holds_alternative<ir::Reshape>(graph_.nodes[producer].op)) break;
      value = graph_.nodes[producer].inputs[0];
    }
    return value;
  }

  static double Real(const quant::QuantizedWeights& weights, int64_t row, int64_t per_row,
                     int64_t i) {
    return weights.scales[row] * weights.values[row * per_row + i];
  }
  static double TermError(double rounded, double exact, const ChannelFigures& input, int64_t c) {
    return rounded * (input.mean[c] + input.rounding_mean[c]) - exact * input.mean[c];
  }

  // Weights of the graph are [O, I / groups, KH, KW], of the model [O][KH][KW][I / groups].
  std::vector<double> ConvErrors(const ir::Node& node, const ir::Conv2d& conv,
                                 const quant::QuantizedWeights& weights,
                                 const ChannelFigures& input) const {
    const ir::Shape& shape = conv.weight.shape;
    const std::vector<double> coverage = TapCoverage(graph_, node, conv);
    const int64_t depth = shape[1], taps = shape[2] * shape[3];
    std::vector<double> errors(shape[0]);
    for (int64_t o = 0; o < shape[0]; ++o) {
      const int64_t first = o / (shape[0] / conv.groups) * depth;
      for (int64_t c = 0; c < depth; ++c) {
        for (int64_t tap = 0; tap < taps; ++tap) {
          const double rounded = Real(weights, o, depth * taps, tap * depth + c);
          const double exact = conv.weight.data[(o * depth + c) * taps + tap];
          errors[o] += coverage[tap] * TermError(rounded, exact, input, first + c);
        }
      }
    }
    return errors;
  }

  std::vector<double> LinearErrors(const ir::Node& node, const ir::Linear& linear,
                                   const quant::QuantizedWeights& weights,
                                   const ChannelFigures& input) const {
    const int64_t rows = linear.weight.shape[0], features = linear.weight.shape[1];
    // Read through a flattening, the model's features stand in the order [H, W, C].
    int64_t channels = 1;
    if (decision_of_value_[node.inputs[0]] < 0) {
      channels = graph_.values[StoredValue(node.inputs[0])].shape[1];
    }
    const int64_t pixels = features / channels;
    std::vector<double> errors(rows);
    for (int64_t o = 0; o < rows; ++o) {
      for (int64_t f = 0; f < features; ++f) {
        const int64_t stored = channels == 1 ? f : f % pixels * channels + f / pixels;
        errors[o] += TermError(Real(weights, o, features, stored),
                               linear.weight.data[o * features + f], input, f);
      }
    }
    return errors;
  }

  const ir::Graph& graph_;
  const lower::Lowered& lowered_;
  std::vector<int> decision_of_value_;
};

std::vector<float>& BiasOf(ir::Op& op) {
  if (auto* conv = std::get_if<ir::Conv2d>(&op)) return conv->bias;
  if (auto* linear = std::get_if<ir::Linear>(&op)) return linear->bias;
  return std::get<ir::ChannelAffine>(op).shift;
}

}  // namespace

std::vector<ChannelStatistics::Wanted> BiasCorrectionNeeds(const ir::Graph& graph,
                                                           const lower::Lowered& lowered) {
  return Corrector(graph, lowered).Needs();
}

Status CorrectBiases(ir::Graph& graph, const lower::Lowered& lowered,
                     const ChannelStatistics& statistics) {
  if (statistics.images() == 0) {
    return FailedPrecondition("bias correction needs statistics of images");
  }
  const Corrector corrector(graph, lowered);
  for (const lower::SumWeights& sum : lowered.sums) {
    const std::vector<double> errors = corrector.MeanErrors(sum, statistics);
    std::vector<float>& bias = BiasOf(graph.nodes[sum.node].op);
    if (bias.empty()) bias.assign(errors.size(), 0.0f);
    for (size_t c = 0; c < errors.size(); ++c) bias[c] -= static_cast<float>(errors[c]);
  }
  return {};
}

}  // namespace haq::correct
