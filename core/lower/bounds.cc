#include "core/lower/bounds.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace haq::lower {
namespace {

using quant::Range;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr Range kAnything = {-kInfinity, kInfinity};

// Where x * sigmoid(x) and hard-swish are least.
constexpr double kLeastSilu = -0.27846454276107374, kLeastHardSwish = -0.375;

double Times(double a, double b) { return a == 0 || b == 0 ? 0 : a * b; }

Range Product(const Range& a, const Range& b) {
  const auto [low, high] = std::minmax(
      {Times(a.low, b.low), Times(a.low, b.high), Times(a.high, b.low), Times(a.high, b.high)});
  return {low, high};
}

Range Hull(const Range& a, const Range& b) {
  return {std::min(a.low, b.low), std::max(a.high, b.high)};
}

// x -> f(x) for f that never falls.
template <typename F>
Range Monotone(const Range& x, const F& f) {
  return {f(x.low), f(x.high)};
}

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// The range of each operator's result by those of its operands.
struct BoundsOf {
  const std::vector<Range>& in;

  Range operator()(const ir::Conv2d&) const { return kAnything; }
  Range operator()(const ir::Linear&) const { return kAnything; }
  Range operator()(const ir::ChannelAffine&) const { return kAnything; }
  Range operator()(const ir::Clamp& clamp) const {
    double high = clamp.high;
    if (!clamp.channel_high.empty()) {
      high = *std::max_element(clamp.channel_high.begin(), clamp.channel_high.end());
    }
    return Monotone(in[0],
                    [&](double x) { return std::min(std::max<double>(x, clamp.low), high); });
  }
  Range operator()(const ir::LeakyRelu& op) const {
    if (op.slope < 0) return kAnything;
    return Monotone(in[0], [&](double x) { return x < 0 ? Times(op.slope, x) : x; });
  }
  Range operator()(const ir::Sigmoid&) const { return Monotone(in[0], Sigmoid); }
  Range operator()(const ir::HardSigmoid&) const {
    return Monotone(in[0], [](double x) { return std::clamp(x / 6 + 0.5, 0.0, 1.0); });
  }
  Range operator()(const ir::Silu&) const { return {kLeastSilu, std::max(in[0].high, 0.0)}; }
  Range operator()(const ir::HardSwish&) const {
    return {kLeastHardSwish, std::max(in[0].high, 0.0)};
  }
  Range operator()(const ir::Tanh&) const {
    return Monotone(in[0], [](double x) { return std::tanh(x); });
  }
  Range operator()(const ir::Add&) const {
    return {in[0].low + in[1].low, in[0].high + in[1].high};
  }
  Range operator()(const ir::Mul&) const { return Product(in[0], in[1]); }
  Range operator()(const ir::Concat&) const {
    Range all = in[0];
    for (const Range& range : in) all = Hull(all, range);
    return all;
  }
  Range operator()(const ir::MaxPool2d&) const { return in[0]; }
  // A divisor that counts padding pulls towards zero; one that is smaller than the window away
  // from it.
  Range operator()(const ir::AvgPool2d& op) const {
    if (op.divisor == 0) return in[0];
    int64_t rows = 0, columns = 0;
    for (size_t i = 0; i < op.row_begin.size(); ++i) {
      rows = std::max(rows, op.row_end[i] - op.row_begin[i]);
    }
    for (size_t i = 0; i < op.column_begin.size(); ++i) {
      columns = std::max(columns, op.column_end[i] - op.column_begin[i]);
    }
    const double most = double(rows) * double(columns) / double(op.divisor);
    return Hull({0, 0}, Product(in[0], {std::min(most, 1.0), most}));
  }
  Range operator()(const ir::Reshape&) const { return in[0]; }
  Range operator()(const ir::Permute&) const { return in[0]; }
  Range operator()(const ir::Pad& pad) const { return Hull(in[0], {pad.value, pad.value}); }
  Range operator()(const ir::Slice&) const { return in[0]; }
  Range operator()(const ir::Softmax&) const { return {0, 1}; }
};

bool MovesValues(const ir::Op& op) {
  return std::holds_alternative<ir::MaxPool2d>(op) || std::holds_alternative<ir::Concat>(op) ||
         std::holds_alternative<ir::Reshape>(op) || std::holds_alternative<ir::Permute>(op) ||
         std::holds_alternative<ir::Pad>(op) || std::holds_alternative<ir::Slice>(op);
}

}  // namespace

std::vector<Range> ValueBounds(const ir::Graph& graph) {
  std::vector<Range> bounds(graph.values.size(), kAnything);
  std::vector<Range> operands;
  for (const ir::Node& node : graph.nodes) {
    operands.clear();
    for (const ir::ValueId input : node.inputs) operands.push_back(bounds[input]);
    bounds[node.output] = std::visit(BoundsOf{operands}, node.op);
  }
  return bounds;
}

std::vector<ClippedTensor> ClippedTensors(const ir::Graph& graph, const Lowered& lowered) {
  const std::vector<Range> bounds = ValueBounds(graph);
  std::vector<ClippedTensor> clipped;
  for (const TensorDecision& decision : lowered.decisions) {
    const int producer = graph.ProducerOf(decision.value);
    if (decision.params.bits != 8 || (producer >= 0 && MovesValues(graph.nodes[producer].op))) {
      continue;
    }
    // What is less than half a step beyond the last level rounds to it and loses nothing more.
    const Range& levels = decision.params.range;
    const double half_step = decision.params.scale / 2.0;
    const Range& values = bounds[decision.value];
    const ClippedTensor tensor{
        decision.tensor, values.low<levels.low - half_step, values.high> levels.high + half_step};
    if (tensor.low || tensor.high) clipped.push_back(tensor);
  }
  return clipped;
}

}  // namespace haq::lower
