#include <algorithm>
#include <cmath>
#include <optional>

#include "core/ir/passes.h"

namespace haq::ir {
namespace {

// By channel (index of dimension 1): the value that all its elements have for every input; NaN
// where they differ, or where nothing is known. Empty when nothing is known of any channel.
using Constants = std::vector<float>;

bool IsKnown(float constant) { return !std::isnan(constant); }

class Folder {
 public:
  explicit Folder(Graph& graph) : graph_(graph), constants_(graph.values.size()) {}

  bool Run() {
    for (Node& node : graph_.nodes) {
      constants_[node.output] = std::visit([&](auto& op) { return Visit(node, op); }, node.op);
    }
    return changed_;
  }

 private:
  const Constants& Input(const Node& node, size_t i = 0) const {
    return constants_[node.inputs[i]];
  }

  Constants Visit(const Node& node, Conv2d& conv) {
    const bool padded = conv.padding != Padding2d{};
    const Shape& shape = conv.weight.shape;
    return FoldSum(conv.weight, conv.bias, shape[1], shape[2] * shape[3], conv.groups, padded,
                   Input(node));
  }
  Constants Visit(const Node& node, Linear& linear) {
    if (graph_.values[node.inputs[0]].shape.size() != 2) return {};
    return FoldSum(linear.weight, linear.bias, linear.weight.shape[1], 1, 1, false, Input(node));
  }

  // Weights [O, `inputs` of the group, `taps`]. Where a window reads padding, a constant other than
  // zero does not come through all taps, so it has to stay.
  Constants FoldSum(Constant& weight, std::vector<float>& bias, int64_t inputs, int64_t taps,
                    int64_t groups, bool padded, const Constants& input) {
    const int64_t outputs = weight.shape[0];
    Constants sums;
    for (int64_t o = 0; o < outputs; ++o) {
      float* row = weight.data.data() + o * inputs * taps;
      double folded = 0;
      for (int64_t i = 0; i < inputs && !input.empty(); ++i) {
        const float constant = input[o / (outputs / groups) * inputs + i];
        if (!IsKnown(constant) || (padded && constant != 0)) continue;
        for (float* tap = row + i * taps; tap < row + (i + 1) * taps; ++tap) {
          folded += double(constant) * *tap;
          changed_ |= *tap != 0;
          *tap = 0;
        }
      }
      if (folded != 0 && bias.empty()) bias.assign(outputs, 0.0f);
      if (folded != 0) bias[o] = static_cast<float>(bias[o] + folded);
      const bool zero = std::all_of(row, row + inputs * taps, [](float w) { return w == 0; });
      sums.push_back(!zero ? std::nanf("") : bias.empty() ? 0 : bias[o]);
    }
    return sums;
  }

  Constants Visit(const Node& node, const ChannelAffine& affine) {
    Constants constants = Input(node);
    for (size_t c = 0; c < constants.size(); ++c) {
      constants[c] = constants[c] * affine.scale[c] + affine.shift[c];
    }
    return constants;
  }
  Constants Visit(const Node& node, const Clamp& clamp) {
    Constants constants = Input(node);
    for (size_t c = 0; c < constants.size(); ++c) {
      if (!IsKnown(constants[c])) continue;
      const float high = clamp.channel_high.empty() ? clamp.high : clamp.channel_high[c];
      constants[c] = std::min(std::max(constants[c], clamp.low), high);
    }
    return constants;
  }
  Constants Visit(const Node& node, const LeakyRelu& relu) {
    Constants constants = Input(node);
    for (float& constant : constants) {
      if (constant < 0) constant *= relu.slope;
    }
    return constants;
  }
  Constants Visit(const Node& node, const MaxPool2d&) { return Input(node); }
  Constants Visit(const Node& node, const AvgPool2d& pool) {
    Constants constants = Input(node);
    for (float& constant : constants) {
      if (pool.divisor != 0 && constant != 0) constant = std::nanf("");
    }
    return constants;
  }
  Constants Visit(const Node& node, const Reshape&) {
    const Constants& channels = Input(node);
    const Shape &from = graph_.values[node.inputs[0]].shape, &to = graph_.values[node.output].shape;
    if (channels.empty() || to.size() != 2 || from.size() < 2) return {};
    Constants features(to[1]);
    for (int64_t f = 0; f < to[1]; ++f) features[f] = channels[f / (to[1] / from[1])];
    return features;
  }
  // Every other operator ends what is known.
  template <typename Op>
  Constants Visit(const Node&, const Op&) {
    return {};
  }

  Graph& graph_;
  std::vector<Constants> constants_;  // by value
  bool changed_ = false;
};

}  // namespace

bool FoldConstantChannels(Graph& graph) { return Folder(graph).Run(); }

}  // namespace haq::ir
