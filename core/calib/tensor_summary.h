// What calibration keeps of a tensor: constant memory however many images, one pass for all
// methods.
//
// Everything but the moving average is a function of the multiset of values seen: bit-identical
// however the values were ordered, cut into batches or threads, observed in shards and merged.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "core/base/byte_io.h"
#include "core/base/status.h"
#include "core/calib/cells.h"
#include "core/calib/moving_minmax.h"
#include "core/quant/params.h"

namespace haq::calib {

// Threads that Observe may use: `run` calls body(i) once for every i in [0, count), up to `threads`
// at a time.
struct Parallel {
  int threads = 1;
  std::function<void(int64_t count, const std::function<void(int64_t i)>& body)> run;
};

// Scratch memory for Observe. One for any number of summaries; one Observe at a time.
class ObserveScratch {
 public:
  ObserveScratch();
  ObserveScratch(ObserveScratch&&);
  ~ObserveScratch();

 private:
  friend class TensorSummary;
  struct Part;
  std::vector<std::unique_ptr<Part>> parts_;
};

// Not thread-safe.
class TensorSummary {
 public:
  // The values of `images` images, image by image, equally many of each. Non-finite values are
  // counted and otherwise left out.
  void Observe(std::span<const float> values, int64_t images, ObserveScratch& scratch,
               const Parallel& parallel = {});
  void Observe(std::span<const float> values, int64_t images = 1);

  // Makes this the summary of both streams, the other's images after this one's.
  void Merge(const TensorSummary& later);

  // State for checkpoints and shards observed apart; its size depends on how many cells are
  // occupied, at most 180 KiB. Restore replaces this state; kDataLoss where the bytes are cut or
  // contradict themselves, with this state unspecified.
  void Save(ByteWriter& writer) const;
  Status Restore(ByteReader& reader);

  // kFailedPrecondition when no value was seen, kInvalidArgument when values were not finite.
  Status Check() const;

  uint64_t count() const { return count_; }  // of all values
  uint64_t not_finite() const { return not_finite_; }
  uint64_t zeros() const { return zeros_; }  // exact ones, counted in index 0 of cells() too
  float low() const { return low_; }         // of the finite values; above high() when none
  float high() const { return high_; }
  const CellCounts& cells() const { return cells_; }
  quant::Range moving_range() const { return moving_.Current(); }

 private:
  uint64_t count_ = 0, not_finite_ = 0, zeros_ = 0;
  float low_ = std::numeric_limits<float>::infinity();
  float high_ = -std::numeric_limits<float>::infinity();
  MovingMinMax moving_;
  CellCounts cells_;
};

}  // namespace haq::calib
