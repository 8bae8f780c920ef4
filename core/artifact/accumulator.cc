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

// Levels are in [0, 255] and padding is a level, so negative weights pull down by at most 255 each
// and positive ones up; the sums over any part of the weights lie between.
AccumulatorBounds OfWeights(Blob<int8_t> weight, Blob<fixedpoint::ChannelRequantize> channels) {
  Union all;
  const size_t count = channels.empty() ? 0 : weight.size() / channels.size();
  for (size_t c = 0; c < channels.size(); ++c) {
    const internal::WeightSums sums = internal::SumWeights(weight.subspan(c * count, count));
    all.Add(channels[c].bias + kLevelMax * sums.negative,
            channels[c].bias + kLevelMax * sums.positive);
  }
  return all.bounds();
}

struct Bounder {
  const Model& model;
  const Layer& layer;

  AccumulatorBounds operator()(const Conv2d& op) const { return OfWeights(op.weight, op.channels); }
  AccumulatorBounds operator()(const Linear& op) const { return OfWeights(op.weight, op.channels); }

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

  AccumulatorBounds operator()(const AvgPool2d& op) const {
    const int64_t zero = model.tensors[layer.inputs[0]].zero_point;
    int64_t largest_rows = 0, largest_columns = 0;
    for (size_t i = 0; i < op.row_begin.size(); ++i) {
      largest_rows = std::max<int64_t>(largest_rows, int64_t{op.row_end[i]} - op.row_begin[i]);
    }
    for (size_t i = 0; i < op.column_begin.size(); ++i) {
      largest_columns =
          std::max<int64_t>(largest_columns, int64_t{op.column_end[i]} - op.column_begin[i]);
    }
    Union all;
    for (size_t k = 0; k < op.by_count.size(); ++k) {
      const int64_t count = op.counts.empty() ? largest_rows * largest_columns : op.counts[k];
      all.Add(op.by_count[k].bias - zero * count, op.by_count[k].bias + (kLevelMax - zero) * count);
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
