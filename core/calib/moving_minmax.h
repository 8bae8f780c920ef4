// `moving_minmax`: PyTorch's MovingAverageMinMaxObserver, fed with micro-batches of a fixed number
// of images: the first sets both ends, each later one moves them, low += 0.01 (its lowest - low),
// high likewise.
//
// The definition is ordered, so unlike every other method its result depends on the order of the
// images. It does not depend on the sizes of the batches they came in.
#pragma once

#include <cstdint>
#include <limits>

#include "core/base/byte_io.h"
#include "core/base/status.h"
#include "core/quant/params.h"

namespace haq::calib {

class MovingMinMax {
 public:
  static constexpr double kAveragingConstant = 0.01;
  static constexpr uint32_t kMicroBatchImages = 10;

  // The extremes of the next image's finite values, or of a part of that image; EndImage ends it.
  void AddExtremes(float low, float high);
  void EndImage();

  // Continues with the images that `later` has seen, as if they had been seen here: up to rounding
  // where this one has seen whole micro-batches; otherwise its last one stays smaller than the
  // rest.
  void Append(const MovingMinMax& later);

  void Save(ByteWriter& writer) const;
  // kDataLoss for a state that no sequence of calls leads to.
  Status Restore(ByteReader& reader);

  // An incomplete micro-batch at the end counts as one. Nothing seen: low is above high.
  quant::Range Current() const;

  bool operator==(const MovingMinMax&) const = default;

 private:
  struct Extremes {
    double low = std::numeric_limits<double>::infinity();
    double high = -std::numeric_limits<double>::infinity();
    bool operator==(const Extremes&) const = default;
  };
  void EndMicroBatch();

  uint64_t micro_batches_ = 0;
  Extremes first_, average_;  // of the first micro-batch, and after all
  uint32_t pending_images_ = 0;
  Extremes pending_;
};

}  // namespace haq::calib
