#include "core/lower/plan.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace haq::lower {
namespace {

// A concatenation's input that others read too shares the output's parameters when that widens its
// range by at most this factor: 1.1 raises its rounding noise by 0.8 dB, a requantization would
// raise it by 3 dB.
constexpr double kSharedWidthLimit = 1.1;

// Requantization multiplies by less than 2^8 (core/fixedpoint); half of it leaves room for
// rounding.
constexpr double kLargestMultiplier = 128;

// Those that are requantized channel by channel can clamp so.
bool HasChannels(const ir::Op& op) {
  return std::holds_alternative<ir::Conv2d>(op) || std::holds_alternative<ir::Linear>(op) ||
         std::holds_alternative<ir::ChannelAffine>(op);
}

bool CanSwallow(const ir::Op& op, const ir::Clamp& clamp) {
  if (HasChannels(op)) return true;
  return clamp.channel_high.empty() &&
         (std::holds_alternative<ir::Add>(op) || std::holds_alternative<ir::Mul>(op) ||
          std::holds_alternative<ir::AvgPool2d>(op));
}

bool PassesThrough(const ir::Op& op) {
  return std::holds_alternative<ir::MaxPool2d>(op) || std::holds_alternative<ir::Reshape>(op) ||
         std::holds_alternative<ir::Permute>(op) || std::holds_alternative<ir::Slice>(op) ||
         std::holds_alternative<ir::Pad>(op);
}

// Layers that compute a 16-bit output take about five times as long as others. In multiply-adds:
// a hundredth of the network's, or some tens of microseconds.
constexpr double kCheapShare = 0.01, kCheapWork = 1 << 20;
// To compute an element takes as long as this many multiply-adds, whatever the operator.
constexpr double kElementWork = 16;

double WorkOf(const ir::Graph& graph, const ir::Node& node) {
  double per_element = kElementWork;
  if (const auto* conv = std::get_if<ir::Conv2d>(&node.op)) {
    const ir::Shape& shape = conv->weight.shape;
    per_element += static_cast<double>(shape[1] * shape[2] * shape[3]);
  } else if (const auto* linear = std::get_if<ir::Linear>(&node.op)) {
    per_element += static_cast<double>(linear->weight.shape[1]);
  }
  return per_element * static_cast<double>(*ir::ElementCount(graph.values[node.output].shape));
}

// Those that read and make 16-bit tensors.
bool HasWideForm(const ir::Op& op) {
  return HasChannels(op) || PassesThrough(op) || std::holds_alternative<ir::Add>(op) ||
         std::holds_alternative<ir::AvgPool2d>(op) || std::holds_alternative<ir::Concat>(op) ||
         std::holds_alternative<ir::Clamp>(op);
}

quant::TensorParams ToParams(const ir::GivenQuantization::Levels& given) {
  const auto scheme = given.zero_point == 128 ? quant::TensorScheme::kSymmetric
                      : given.zero_point == 0 ? quant::TensorScheme::kOneSided
                                              : quant::TensorScheme::kAsymmetric;
  const double scale = given.scale;
  return {given.scale,
          given.zero_point,
          scheme,
          {scale * -given.zero_point, scale * (255 - given.zero_point)},
          "given by the model",
          8};
}

double Width(const quant::Range& range) {
  return std::max(range.high, 0.0) - std::min(range.low, 0.0);
}

quant::Range Union(const quant::Range& a, const quant::Range& b) {
  return {std::min(a.low, b.low), std::max(a.high, b.high)};
}

// Sets of values that share parameters, each with its range.
class SharedRanges {
 public:
  explicit SharedRanges(const std::vector<quant::Range>& ranges)
      : parent_(ranges.size()), range_(ranges) {
    std::iota(parent_.begin(), parent_.end(), 0);
  }
  int Find(int value) {
    while (parent_[value] != value) value = parent_[value] = parent_[parent_[value]];
    return value;
  }
  void Unite(int a, int b) {
    a = Find(a), b = Find(b);
    if (a == b) return;
    parent_[b] = a;
    range_[a] = Union(range_[a], range_[b]);
  }
  quant::Range& RangeOf(int value) { return range_[Find(value)]; }
  // Gives the sets whose root is `chosen` the union of other ranges of their values.
  template <typename Chosen>
  void Replace(const std::vector<quant::Range>& ranges, const Chosen& chosen) {
    for (size_t value = 0; value < parent_.size(); ++value) {
      const int root = Find(static_cast<int>(value));
      if (chosen(root)) range_[root] = ranges[root];
    }
    for (size_t value = 0; value < parent_.size(); ++value) {
      const int root = Find(static_cast<int>(value));
      if (chosen(root)) range_[root] = Union(range_[root], ranges[value]);
    }
  }

 private:
  std::vector<int> parent_;
  std::vector<quant::Range> range_;  // of the roots
};

class Planner {
 public:
  Planner(const ir::Graph& graph, const std::vector<quant::Range>& ranges, const Options& options,
          const std::set<int>& keep_apart)
      : graph_(graph),
        options_(options),
        keep_apart_(keep_apart),
        shared_(ranges),
        readers_(graph.values.size()) {
    for (size_t node = 0; node < graph.nodes.size(); ++node) {
      for (const ir::ValueId input : graph.nodes[node].inputs) readers_[input].push_back(node);
    }
  }

  Result<Plan> Run() {
    FuseAndShare();
    HAQ_RETURN_IF_ERROR(MarkWide());
    HAQ_RETURN_IF_ERROR(ChooseParams());
    // Widening an output can only make later bounds larger, so in order of execution one pass
    // suffices unless a set of values reaches backwards; a few more settle that.
    for (int pass = 0; pass < 4 && WidenDegenerateOutputs(); ++pass) {
      HAQ_RETURN_IF_ERROR(ChooseParams());
    }
    return std::move(plan_);
  }

  std::vector<bool> WideCandidates() {
    FuseAndShare();
    std::vector<bool> candidates(graph_.values.size());
    for (size_t value = 0; value < candidates.size(); ++value) {
      candidates[value] = CheckWide(static_cast<ir::ValueId>(value)).ok();
    }
    return candidates;
  }

 private:
  void FuseAndShare() {
    plan_.skipped.assign(graph_.nodes.size(), false);
    FuseAdds();
    FuseClamps();
    ShareThroughPassThrough();
    ShareThroughConcat();
  }

  // Nothing reads the node's output but one input of one node.
  bool ReadOnce(const ir::Node& node) const {
    return readers_[node.output].size() == 1 && node.output != graph_.output;
  }

  // The node that makes `value` if it can do an addition to it, or -1.
  int ConvolutionOf(ir::ValueId value) const {
    const int producer = graph_.ProducerOf(value);
    if (producer < 0 || !ReadOnce(graph_.nodes[producer])) return -1;
    const ir::Op& op = graph_.nodes[producer].op;
    const bool affine_of_image =
        std::holds_alternative<ir::ChannelAffine>(op) && graph_.values[value].shape.size() == 4;
    return std::holds_alternative<ir::Conv2d>(op) || affine_of_image ? producer : -1;
  }

  void FuseAdds() {
    plan_.fused_add.resize(graph_.nodes.size());
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const ir::Node& node = graph_.nodes[i];
      if (!std::holds_alternative<ir::Add>(node.op) || keep_apart_.contains(static_cast<int>(i))) {
        continue;
      }
      const ir::ValueId a = node.inputs[0], b = node.inputs[1];
      if (graph_.values[a].shape != graph_.values[b].shape) continue;
      const int of_a = ConvolutionOf(a), of_b = ConvolutionOf(b);
      if (of_a < 0 && of_b < 0) continue;
      const int conv = std::max(of_a, of_b);
      plan_.fused_add[i] = {conv, static_cast<int>(i), of_a > of_b ? b : a};
      plan_.fused_add[conv] = plan_.fused_add[i];
      plan_.skipped[conv] = true;
    }
  }

  void FuseClamps() {
    plan_.fused_clamp.assign(graph_.nodes.size(), -1);
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const ir::Node& node = graph_.nodes[i];
      if (!ReadOnce(node)) continue;
      const int reader = readers_[node.output][0];
      const auto* clamp = std::get_if<ir::Clamp>(&graph_.nodes[reader].op);
      if (clamp == nullptr || !(plan_.fused_add[i].exists() || CanSwallow(node.op, *clamp))) {
        continue;
      }
      plan_.fused_clamp[i] = reader;
      plan_.skipped[reader] = true;
    }
  }

  void ShareThroughPassThrough() {
    for (const ir::Node& node : graph_.nodes) {
      if (!PassesThrough(node.op)) continue;
      shared_.Unite(node.inputs[0], node.output);
      if (const auto* pad = std::get_if<ir::Pad>(&node.op)) {
        quant::Range& range = shared_.RangeOf(node.output);
        range = Union(range, {pad->value, pad->value});
      }
    }
  }

  // Nothing but `concat` reads the values of this set, apart from the operators that pass them on
  // within it.
  bool OnlyReadBy(int set, int concat) {
    for (size_t value = 0; value < graph_.values.size(); ++value) {
      if (shared_.Find(value) != set) continue;
      if (static_cast<ir::ValueId>(value) == graph_.output) return false;
      for (const int reader : readers_[value]) {
        const bool within = PassesThrough(graph_.nodes[reader].op) &&
                            shared_.Find(graph_.nodes[reader].output) == set;
        if (reader != concat && !within) return false;
      }
    }
    return true;
  }

  void ShareThroughConcat() {
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const ir::Node& node = graph_.nodes[i];
      if (!std::holds_alternative<ir::Concat>(node.op)) continue;
      for (const ir::ValueId input : node.inputs) {
        const quant::Range own = shared_.RangeOf(input);
        const double together = Width(Union(own, shared_.RangeOf(node.output)));
        if (AreGivenApart(input, node.output)) continue;
        if (OnlyReadBy(shared_.Find(input), static_cast<int>(i)) ||
            together <= kSharedWidthLimit * Width(own)) {
          shared_.Unite(node.output, input);
        }
      }
    }
  }

  // What was given for a value of the set that `value` is in: the first one's, or null.
  const ir::GivenQuantization::Levels* GivenFor(int value) {
    const int set = shared_.Find(value);
    for (const auto& [other, levels] : options_.given.values) {
      if (shared_.Find(other) == set) return &levels;
    }
    return nullptr;
  }
  bool AreGivenApart(ir::ValueId a, ir::ValueId b) {
    const auto *of_a = GivenFor(a), *of_b = GivenFor(b);
    return of_a != nullptr && of_b != nullptr && *of_a != *of_b;
  }

  // Nothing when all that share parameters with `value` may have 16 bits.
  Status CheckWide(ir::ValueId value) {
    const std::string& name = graph_.values[value].name;
    const int producer = graph_.ProducerOf(value);
    if (producer >= 0) {
      const FusedAdd& fused = plan_.fused_add[producer];
      const int clamp = plan_.fused_clamp[producer];
      const int within = fused.conv == producer ? fused.add : clamp;
      if (within >= 0) {
        return InvalidArgument(
            "tensor \"{}\" cannot have 16 bits: it is not stored, \"{}\" is made of it at once",
            name, graph_.values[graph_.nodes[within].output].name);
      }
    }
    for (const ir::Node& node : graph_.nodes) {
      if (HasWideForm(node.op)) continue;
      HAQ_RETURN_IF_ERROR(CheckApart(node, node.output, value, "makes"));
      for (const ir::ValueId input : node.inputs) {
        HAQ_RETURN_IF_ERROR(CheckApart(node, input, value, "reads"));
      }
    }
    return {};
  }

  // `operand` of `node`, which has no wide form, does not share its levels with `value`.
  Status CheckApart(const ir::Node& node, ir::ValueId operand, ir::ValueId value,
                    std::string_view verb) {
    if (shared_.Find(operand) != shared_.Find(value)) return {};
    return InvalidArgument(
        "tensor \"{}\" cannot have 16 bits: layer \"{}\" ({}) {} {}; what makes and reads such "
        "tensors must be a convolution, a linear layer, an addition, a clamp, average or max "
        "pooling, or move values",
        graph_.values[value].name, node.name, ir::OpName(node.op), verb,
        operand == value
            ? std::string("it")
            : fmt::format("\"{}\", which shares its levels", graph_.values[operand].name));
  }

  // Whether the output costs next to nothing at 16 bits: nothing but what moves it reads it, and
  // the layers that compute it are small.
  bool IsOutputCheap() {
    const int output = shared_.Find(graph_.output);
    const auto is_output = [&](ir::ValueId value) { return shared_.Find(value) == output; };
    double work = 0, all = 0;
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const ir::Node& node = graph_.nodes[i];
      const int clamp = plan_.fused_clamp[i];
      const bool makes = is_output(clamp >= 0 ? graph_.nodes[clamp].output : node.output);
      all += WorkOf(graph_, node);
      if (PassesThrough(node.op) || std::holds_alternative<ir::Concat>(node.op)) continue;
      if (std::any_of(node.inputs.begin(), node.inputs.end(), is_output)) return false;
      if (makes) work += WorkOf(graph_, node);
    }
    return !is_output(graph_.input) && (work <= kCheapWork || work <= kCheapShare * all) &&
           CheckWide(graph_.output).ok();
  }

  Status MarkWide() {
    wide_.assign(graph_.values.size(), false);
    if (options_.wide_output && GivenFor(graph_.output) == nullptr && IsOutputCheap())
      wide_[shared_.Find(graph_.output)] = true;
    for (const ir::ValueId value : options_.wide) {
      if (value < 0 || static_cast<size_t>(value) >= graph_.values.size()) {
        return InvalidArgument("value {} of {} cannot be kept at 16 bits", value,
                               graph_.values.size());
      }
      HAQ_RETURN_IF_ERROR(CheckWide(value));
      wide_[shared_.Find(value)] = true;
    }
    if (!options_.wide_ranges.empty()) {
      shared_.Replace(options_.wide_ranges, [&](int root) { return wide_[root]; });
    }
    return {};
  }

  // 8, or 16 for what is kept wide.
  int BitsOf(size_t value) { return wide_[shared_.Find(static_cast<int>(value))] ? 16 : 8; }

  Status ChooseParams() {
    plan_.params.resize(graph_.values.size());
    for (size_t value = 0; value < graph_.values.size(); ++value) {
      const bool keep_ends =
          options_.exact_input && shared_.Find(value) == shared_.Find(graph_.input);
      auto params = quant::ChooseTensorParams(
          shared_.RangeOf(value), keep_ends ? quant::SchemePolicy::kAsymmetric : options_.scheme,
          options_.hybrid, BitsOf(value));
      if (!params.ok()) {
        return params.status().WithContext(
            ir::DescribeValue(graph_, static_cast<ir::ValueId>(value)));
      }
      plan_.params[value] = *std::move(params);
      const auto* given = GivenFor(static_cast<int>(value));
      if (given != nullptr && BitsOf(value) == 8) plan_.params[value] = ToParams(*given);
    }
    for (const ir::Node& node : graph_.nodes) {
      if (!std::holds_alternative<ir::Softmax>(node.op)) continue;
      plan_.params[node.output] = {kSoftmaxScale,         0, quant::TensorScheme::kOneSided, {0, 1},
                                   "16 bits over [0, 1]", 16};
    }
    return {};
  }

  // The scale that the tensor's range would have at 8 bits: what follows compares ranges.
  double ByteScale(ir::ValueId value) const {
    const quant::TensorParams& params = plan_.params[value];
    return double(params.scale) * params.last_level() / 255;
  }

  // The smallest output scale for which the node's multipliers are representable. Only degenerate
  // layers meet it: those whose output range is smaller than a fraction of one step of their sum.
  double SmallestScale(size_t index) const {
    const FusedAdd& fused = plan_.fused_add[index];
    return SmallestScale(graph_.nodes[fused.exists() ? fused.conv : index]);
  }

  double SmallestScale(const ir::Node& node) const {
    const auto scale_of = [&](size_t input) { return ByteScale(node.inputs[input]); };
    const auto largest = [](const std::vector<float>& values) {
      double result = 0;
      for (const float value : values) result = std::max(result, std::abs(double(value)));
      return result;
    };
    if (const auto* conv = std::get_if<ir::Conv2d>(&node.op)) {
      return scale_of(0) * largest(conv->weight.data) / 127 / kLargestMultiplier;
    }
    if (const auto* linear = std::get_if<ir::Linear>(&node.op)) {
      return scale_of(0) * largest(linear->weight.data) / 127 / kLargestMultiplier;
    }
    if (const auto* affine = std::get_if<ir::ChannelAffine>(&node.op)) {
      return scale_of(0) * largest(affine->scale) / 127 / kLargestMultiplier;
    }
    if (std::holds_alternative<ir::Add>(node.op)) {
      return std::max(scale_of(0), scale_of(1)) / kLargestMultiplier;
    }
    if (std::holds_alternative<ir::Mul>(node.op)) {
      return scale_of(0) * scale_of(1) / kLargestMultiplier;
    }
    if (std::holds_alternative<ir::AvgPool2d>(node.op)) return scale_of(0) / kLargestMultiplier;
    const auto* clamp = std::get_if<ir::Clamp>(&node.op);
    if (clamp != nullptr && !clamp->channel_high.empty()) {
      return scale_of(0) / kLargestMultiplier;  // a multiplication by one
    }
    return 0;
  }

  bool WidenDegenerateOutputs() {
    bool widened = false;
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (plan_.skipped[i]) continue;
      const int last = plan_.fused_clamp[i] >= 0 ? plan_.fused_clamp[i] : static_cast<int>(i);
      const ir::ValueId output = graph_.nodes[last].output;
      const double smallest = SmallestScale(i);
      if (ByteScale(output) >= smallest) continue;
      quant::Range& range = shared_.RangeOf(output);
      range = Union(range, range.low < 0 && range.high <= 0 ? quant::Range{-256 * smallest, 0}
                                                            : quant::Range{0, 256 * smallest});
      widened = true;
    }
    return widened;
  }

  const ir::Graph& graph_;
  const Options& options_;
  const std::set<int>& keep_apart_;
  SharedRanges shared_;
  std::vector<std::vector<int>> readers_;  // nodes, by value
  std::vector<bool> wide_;                 // by the root of a set
  Plan plan_;
};

}  // namespace

Result<Plan> MakePlan(const ir::Graph& graph, const std::vector<quant::Range>& ranges,
                      const Options& options, const std::set<int>& keep_apart) {
  return Planner(graph, ranges, options, keep_apart).Run();
}

Result<std::vector<bool>> PlanWideCandidates(const ir::Graph& graph,
                                             const std::vector<quant::Range>& ranges,
                                             const Options& options) {
  return Planner(graph, ranges, options, {}).WideCandidates();
}

}  // namespace haq::lower
