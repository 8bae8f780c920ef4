// Figures of each channel of a network's values over calibration images: what the corrections weigh
// errors with.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/base/status.h"
#include "core/float_exec/executor.h"
#include "core/ir/graph.h"
#include "core/quant/params.h"

namespace haq::correct {

// Of one value [N, C, ...], by channel; of a value [N, F] every feature is a channel.
struct ChannelFigures {
  int64_t images = 0;
  int64_t elements = 0;               // of one channel in one image
  std::vector<double> mean;           // of x
  std::vector<double> mean_square;    // of x
  std::vector<double> low, high;      // extremes of x
  std::vector<double> active;         // share of elements other than 0 and the value's upper clamp
  std::vector<double> rounding_mean;  // of quantized x - x; empty where no parameters were given
};

class ChannelStatistics {
 public:
  struct Wanted {
    ir::ValueId value = -1;
    std::optional<quant::TensorParams> params;  // how the value is quantized, for rounding_mean
    int32_t levels = 256;                       // that the quantized value has
  };

  // `graph` must outlive the object; values are wanted once each.
  ChannelStatistics(const ir::Graph& graph, std::vector<Wanted> wanted);

  // Runs n images [n, C, H, W] of `graph` and adds them. The figures depend on the images and their
  // order, not on the executor's threads.
  Status Add(float_exec::Executor& executor, int64_t n, std::span<const float> input);
  int64_t images() const { return images_; }

  // Null for a value that was not wanted. At least one image was added.
  std::optional<ChannelFigures> Of(ir::ValueId value) const;

 private:
  struct Sums {
    double sum = 0, squares = 0, rounding = 0, low = 0, high = 0;
    int64_t active = 0;
  };
  struct Entry {
    Wanted wanted;
    int64_t channels, elements;
    float upper_clamp;          // where the value is the result of one; infinite otherwise
    std::vector<Sums> channel;  // of all images so far
  };
  void AddValue(float_exec::Executor& executor, Entry& entry, int64_t n,
                std::span<const float> elements);

  const ir::Graph& graph_;
  std::vector<Entry> entries_;
  std::vector<int> entry_of_value_;  // -1: not wanted
  float_exec::Executor::ObserverNeeds needs_;
  std::vector<Sums> rows_;  // of one batch: image by image, channel by channel
  std::vector<float> output_;
  int64_t images_ = 0;
};

}  // namespace haq::correct
