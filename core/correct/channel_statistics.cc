#include "core/correct/channel_statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace haq::correct {
namespace {

float UpperClampOf(const ir::Graph& graph, ir::ValueId value) {
  const int producer = graph.ProducerOf(value);
  if (producer >= 0) {
    if (const auto* clamp = std::get_if<ir::Clamp>(&graph.nodes[producer].op)) return clamp->high;
  }
  return std::numeric_limits<float>::infinity();
}

}  // namespace

ChannelStatistics::ChannelStatistics(const ir::Graph& graph, std::vector<Wanted> wanted)
    : graph_(graph),
      entry_of_value_(graph.values.size(), -1),
      needs_{std::vector<bool>(graph.values.size()), false} {
  for (Wanted& one : wanted) {
    const ir::Shape& shape = graph.values[one.value].shape;
    const int64_t channels = shape.size() > 1 ? shape[1] : 1;
    int64_t elements = 1;
    for (size_t axis = 2; axis < shape.size(); ++axis) elements *= shape[axis];
    entry_of_value_[one.value] = static_cast<int>(entries_.size());
    needs_.values[one.value] = true;
    const float upper_clamp = UpperClampOf(graph, one.value);
    entries_.push_back({std::move(one), channels, elements, upper_clamp,
                        std::vector<Sums>(static_cast<size_t>(channels))});
  }
}

Status ChannelStatistics::Add(float_exec::Executor& executor, int64_t n,
                              std::span<const float> input) {
  HAQ_ASSIGN_OR_RETURN(const int64_t outputs, ir::ElementCount(graph_.values[graph_.output].shape));
  output_.resize(static_cast<size_t>(n * outputs));
  HAQ_RETURN_IF_ERROR(executor.Run(
      n, input, output_,
      [&](ir::ValueId value, std::span<const float> elements) {
        AddValue(executor, entries_[entry_of_value_[value]], n, elements);
      },
      needs_));
  images_ += n;
  return {};
}

// Every channel of every image is summed up on its own, then the images in their order: the threads
// leave no trace.
void ChannelStatistics::AddValue(float_exec::Executor& executor, Entry& entry, int64_t n,
                                 std::span<const float> elements) {
  rows_.resize(static_cast<size_t>(n * entry.channels));
  const bool rounds = entry.wanted.params.has_value();
  const quant::TensorParams params = entry.wanted.params.value_or(quant::TensorParams{});
  const float scale = params.scale, zero = static_cast<float>(params.zero_point);
  const float top = static_cast<float>(entry.wanted.levels - 1);
  executor.ParallelFor(n * entry.channels, [&](int64_t row) {
    const float* x = elements.data() + row * entry.elements;
    Sums sums{0, 0, 0, x[0], x[0], 0};
    for (int64_t i = 0; i < entry.elements; ++i) {
      const double value = x[i];
      sums.sum += value;
      sums.squares += value * value;
      sums.low = std::min(sums.low, value);
      sums.high = std::max(sums.high, value);
      sums.active += x[i] != 0 && x[i] < entry.upper_clamp;
      if (rounds) {
        const float level = std::clamp(std::nearbyint(x[i] / scale) + zero, 0.0f, top);
        sums.rounding += double((level - zero) * scale) - value;
      }
    }
    rows_[row] = sums;
  });
  for (int64_t row = 0; row < n * entry.channels; ++row) {
    Sums& total = entry.channel[row % entry.channels];
    const bool first = images_ == 0 && row < entry.channels;
    total.sum += rows_[row].sum;
    total.squares += rows_[row].squares;
    total.rounding += rows_[row].rounding;
    total.low = first ? rows_[row].low : std::min(total.low, rows_[row].low);
    total.high = first ? rows_[row].high : std::max(total.high, rows_[row].high);
    total.active += rows_[row].active;
  }
}

std::optional<ChannelFigures> ChannelStatistics::Of(ir::ValueId value) const {
  if (entry_of_value_[value] < 0) return std::nullopt;
  const Entry& entry = entries_[entry_of_value_[value]];
  const double count = double(images_) * double(entry.elements);
  ChannelFigures figures;
  figures.images = images_;
  figures.elements = entry.elements;
  for (const Sums& sums : entry.channel) {
    figures.mean.push_back(sums.sum / count);
    figures.mean_square.push_back(sums.squares / count);
    figures.low.push_back(sums.low);
    figures.high.push_back(sums.high);
    figures.active.push_back(double(sums.active) / count);
    if (entry.wanted.params) figures.rounding_mean.push_back(sums.rounding / count);
  }
  return figures;
}

}  // namespace haq::correct
