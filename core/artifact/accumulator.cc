#include <algorithm>

#include "core/artifact/model.h"
#include "core/artifact/weight_sums.h"

namespace haq::artifact {
namespace {

constexpr int64_t kLevelMax = 255;

// Starts empty; the union of what is added.
class Union {
 public:
  void Add(int64_t low, int64_t high) {
    if (empty_) bounds_ = {low, high};
    bounds_.min = std::min(bounds_.min, low);
    bounds_.max = std::max(bounds_.max, high);
    empty_ = false;
  }
  AccumulatorBounds bounds() const { return bounds_; }

 private:
  AccumulatorBounds bounds_;
  bool empty_ = true;
};

// Padding is a level, so negative weights pull down by at most the last level each and positive
// ones up; the sums over any part of the weights lie between.
template <typename Channel>
AccumulatorBounds OfWeights(Blob<int8_t> weight, Blob<Channel> channels, int64_t last_level) {
  Union all;
  const size_t count = channels.empty() ? 0 : weight.size() / channels.size();
  for (size_t c = 0; c < channels.size(); ++c) {
    const internal::WeightSums sums = internal::SumWeights(weight.subspan(c * count, count));
    const int64_t bias = channels[c].bias;
    all.Add(bias + last_level * sums.negative, bias + last_level * sums.positive);
  }
  return all.bounds();
}

template <typename Channel>
AccumulatorBounds OfWindows(const PoolWindows& windows, Blob<Channel> by_count,
                            const Tensor& input) {
  const int64_t zero = input.zero_point, last_level = LastLevel(input.type);
  int64_t largest_rows = 0, largest_columns = 0;
  for (size_t i = 0; i < windows.row_begin.size(); ++i) {
    largest_rows =
        std::max<int64_t>(largest_rows, int64_t{windows.row_end[i]} - windows.row_begin[i]);
  }
  for (size_t i = 0; i < windows.column_begin.size(); ++i) {
    largest_columns = std::max<int64_t>(largest_columns,
                                        int64_t{windows.column_end[i]} - windows.column_begin[i]);
  }
  Union all;
  for (size_t k = 0; k < by_count.size(); ++k) {
    const int64_t count =
        windows.counts.empty() ? largest_rows * largest_columns : windows.counts[k];
    const int64_t bias = by_count[k].bias;
    all.Add(bias - zero * count, bias + (last_level - zero) * count);
  }
  return all.bounds();
}

struct Bounder {
  const Model& model;
  const Layer& layer;

  const Tensor& input() const { return model.tensors[layer.inputs[0]]; }

  AccumulatorBounds operator()(const Conv2d& op) const {
    return OfWeights(op.weight, op.channels, kLevelMax);
  }
  AccumulatorBounds operator()(const Linear& op) const {
    return OfWeights(op.weight, op.channels, kLevelMax);
  }
  AccumulatorBounds operator()(const WideConv2d& op) const {
    return OfWeights(op.weight, op.channels, LastLevel(input().type));
  }
  AccumulatorBounds operator()(const WideLinear& op) const {
    return OfWeights(op.weight, op.channels, LastLevel(input().type));
  }
  AccumulatorBounds operator()(const AvgPool2d& op) const {
    return OfWindows(op, op.by_count, input());
  }
  AccumulatorBounds operator()(const WideAvgPool2d& op) const {
    return OfWindows(op, op.by_count, input());
  }

  AccumulatorBounds operator()(const Mul& op) const {
    const int64_t z_a = model.tensors[layer.inputs[0]].zero_point;
    const int64_t z_b = model.tensors[layer.inputs[1]].zero_point;
    Union all;
    all.Add(op.channel.bias, op.channel.bias);
    for (const int64_t a : {-z_a, kLevelMax - z_a}) {
      for (const int64_t b : {-z_b, kLevelMax - z_b}) {
        all.Add(op.channel.bias + a * b, op.channel.bias + a * b);
      }
    }
    return all.bounds();
  }

  template <typename T>
  AccumulatorBounds operator()(const T&) const {
    return {};
  }
};

}  // namespace

AccumulatorBounds BoundAccumulator(const Model& model, const Layer& layer) {
  return std::visit(Bounder{model, layer}, layer.op);
}

}  // namespace haq::artifact
