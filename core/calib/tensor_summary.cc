#include "core/calib/tensor_summary.h"

#include <algorithm>
#include <cmath>

namespace haq::calib {
namespace {

// What a thread takes at a time.
constexpr size_t kBlock = 8192;
// Fewer values than this per thread are not worth waking one.
constexpr size_t kLeastPerThread = 32768;

// A part of one image.
struct Block {
  size_t begin, size;
  size_t done = 0;  // from the beginning: counted, or found not to be finite
  Tally counted = {};
  uint32_t not_finite = 0;
  int exponent = CellGrid::kSmallestExponent;  // that the values not yet done need
};

std::vector<Block> CutIntoBlocks(size_t values_per_image, int64_t images) {
  std::vector<Block> blocks;
  for (int64_t image = 0; image < images; ++image) {
    for (size_t at = 0; at < values_per_image; at += kBlock) {
      blocks.push_back({.begin = image * values_per_image + at,
                        .size = std::min(kBlock, values_per_image - at)});
    }
  }
  return blocks;
}

}  // namespace

struct ObserveScratch::Part {
  LaneCounters lanes;
  std::vector<float> finite;

  void Observe(std::span<const float> values, const CellCounts& cells, Block& block);
  bool ObserveFinite(std::span<const float> chunk, const CellCounts& cells, Block& block);
};

// Continues with the values of `block`, until the end or where they need a larger grid than that of
// `cells`.
void ObserveScratch::Part::Observe(std::span<const float> values, const CellCounts& cells,
                                   Block& block) {
  while (block.done < block.size) {
    const std::span<const float> rest = values.subspan(block.done);
    if (!cells.counts().empty()) {
      const Tally tally = lanes.Count(rest, cells.grid());
      block.counted.Append(tally);
      block.done += tally.size;
      if (block.done == block.size) return;
    }
    const size_t chunk = std::min(LaneCounters::kChunk, block.size - block.done);
    if (!ObserveFinite(values.subspan(block.done, chunk), cells, block)) {
      block.exponent = ExponentForFinite(values.subspan(block.done));
      return;
    }
    block.done += chunk;
  }
}

// Counts the finite values of a chunk that has others too; false when the grid has no room for
// them.
bool ObserveScratch::Part::ObserveFinite(std::span<const float> chunk, const CellCounts& cells,
                                         Block& block) {
  if (cells.counts().empty()) return false;
  finite.clear();
  std::copy_if(chunk.begin(), chunk.end(), std::back_inserter(finite),
               [](float value) { return std::isfinite(value); });
  const Tally tally = lanes.Count(finite, cells.grid());
  if (tally.size < finite.size()) return false;
  block.counted.Append(tally);
  block.not_finite += static_cast<uint32_t>(chunk.size() - finite.size());
  return true;
}

ObserveScratch::ObserveScratch() = default;
ObserveScratch::ObserveScratch(ObserveScratch&&) = default;
ObserveScratch::~ObserveScratch() = default;

void TensorSummary::Observe(std::span<const float> values, int64_t images) {
  ObserveScratch scratch;
  Observe(values, images, scratch);
}

void TensorSummary::Observe(std::span<const float> values, int64_t images, ObserveScratch& scratch,
                            const Parallel& parallel) {
  if (values.empty() || images < 1) return;
  const size_t per_image = values.size() / images;
  std::vector<Block> blocks = CutIntoBlocks(per_image, images);
  const auto parts = static_cast<int64_t>(
      std::clamp<size_t>(values.size() / kLeastPerThread, 1, std::max(parallel.threads, 1)));
  while (std::ssize(scratch.parts_) < parts) {
    scratch.parts_.push_back(std::make_unique<ObserveScratch::Part>());
  }
  const auto observe_part = [&](int64_t p) {
    for (size_t b = blocks.size() * p / parts; b < blocks.size() * (p + 1) / parts; ++b) {
      Block& block = blocks[b];
      scratch.parts_[p]->Observe(values.subspan(block.begin, block.size), cells_, block);
    }
  };
  // Twice only where values are larger than all before them.
  for (bool done = false; !done;) {
    parts == 1 ? observe_part(0) : parallel.run(parts, observe_part);
    for (int64_t p = 0; p < parts; ++p) scratch.parts_[p]->lanes.FlushInto(cells_);
    done = true;
    for (const Block& block : blocks) {
      if (block.done == block.size) continue;
      cells_.GrowTo(block.exponent);
      done = false;
    }
  }
  count_ += values.size();
  for (const Block& block : blocks) {
    const Tally& counted = block.counted;
    zeros_ += counted.zeros;
    not_finite_ += block.not_finite;
    low_ = std::min(low_, counted.low);
    high_ = std::max(high_, counted.high);
    if (counted.size > 0) moving_.AddExtremes(counted.low, counted.high);
    if ((block.begin + block.size) % per_image == 0) moving_.EndImage();
  }
}

void TensorSummary::Merge(const TensorSummary& later) {
  count_ += later.count_;
  not_finite_ += later.not_finite_;
  zeros_ += later.zeros_;
  low_ = std::min(low_, later.low_);
  high_ = std::max(high_, later.high_);
  moving_.Append(later.moving_);
  cells_.Add(later.cells_);
}

Status TensorSummary::Check() const {
  if (count_ == 0) return FailedPrecondition("no values were observed");
  if (not_finite_ > 0) {
    return InvalidArgument("{} of {} values are NaN or infinite", not_finite_, count_);
  }
  return {};
}

}  // namespace haq::calib
