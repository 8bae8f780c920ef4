#include "core/calib/tensor_summary.h"

#include <algorithm>
#include <cmath>

namespace haq::calib {
namespace {

// Values scanned and then counted while they are in the first-level cache.
constexpr size_t kBlock = 8192;
// Fewer values than this per thread are not worth waking one.
constexpr size_t kLeastPerThread = 32768;

// A part of one image.
struct Block {
  size_t begin, size;
  float low, high;  // of its finite values; low above high when none
};

std::vector<Block> CutIntoBlocks(size_t values_per_image, int64_t images) {
  std::vector<Block> blocks;
  for (int64_t image = 0; image < images; ++image) {
    for (size_t at = 0; at < values_per_image; at += kBlock) {
      blocks.push_back(
          {image * values_per_image + at, std::min(kBlock, values_per_image - at), 0, 0});
    }
  }
  return blocks;
}

}  // namespace

struct ObserveScratch::Part {
  LaneCounters lanes;
  CellCounts cells;
  std::vector<float> finite;
  uint64_t not_finite = 0, zeros = 0;

  void Observe(std::span<const float> values, Block& block);
};

// `block` is the one of `values`.
void ObserveScratch::Part::Observe(std::span<const float> values, Block& block) {
  Scan scan = ScanValues(values);
  if (!scan.AllFinite()) {
    finite.clear();
    std::copy_if(values.begin(), values.end(), std::back_inserter(finite),
                 [](float value) { return std::isfinite(value); });
    not_finite += values.size() - finite.size();
    if (finite.empty()) {
      block.low = std::numeric_limits<float>::infinity();
      block.high = -block.low;
      return;
    }
    values = finite;
    scan = ScanValues(values);
  }
  block.low = scan.low();
  block.high = scan.high();
  zeros += scan.zeros;
  const int exponent = CellGrid::ExponentFor(std::max(std::abs(block.low), std::abs(block.high)));
  if (cells.counts().empty() || exponent > cells.grid().exponent()) {
    lanes.FlushInto(cells);
    cells.GrowTo(exponent);
  }
  lanes.Count(values, block.low, block.high, cells);
}

ObserveScratch::ObserveScratch(ThreadPool* pool) : pool_(pool) {
  parts_.resize(pool ? pool->threads() : 1);
  for (auto& part : parts_) part = std::make_unique<Part>();
}
ObserveScratch::ObserveScratch(ObserveScratch&&) = default;
ObserveScratch::~ObserveScratch() = default;

void TensorSummary::Observe(std::span<const float> values, int64_t images) {
  ObserveScratch scratch;
  Observe(values, images, scratch);
}

void TensorSummary::Observe(std::span<const float> values, int64_t images,
                            ObserveScratch& scratch) {
  if (values.empty() || images < 1) return;
  const size_t per_image = values.size() / images;
  std::vector<Block> blocks = CutIntoBlocks(per_image, images);
  const auto parts = static_cast<int64_t>(
      std::clamp<size_t>(values.size() / kLeastPerThread, 1, scratch.parts_.size()));
  const auto observe_part = [&](int64_t p) {
    const auto blocks_before = [&](int64_t part) { return blocks.size() * part / parts; };
    for (size_t b = blocks_before(p); b < blocks_before(p + 1); ++b) {
      scratch.parts_[p]->Observe(values.subspan(blocks[b].begin, blocks[b].size), blocks[b]);
    }
  };
  // The first part counts straight into this summary.
  std::swap(scratch.parts_[0]->cells, cells_);
  if (parts == 1) {
    observe_part(0);
  } else {
    scratch.pool_->ParallelFor(parts, [&](int64_t p, int) { observe_part(p); });
  }
  for (int64_t p = 0; p < parts; ++p) {
    ObserveScratch::Part& part = *scratch.parts_[p];
    part.lanes.FlushInto(part.cells);
    zeros_ += std::exchange(part.zeros, 0);
    not_finite_ += std::exchange(part.not_finite, 0);
    if (p == 0) {
      std::swap(part.cells, cells_);
    } else {
      cells_.Add(part.cells);
      part.cells = {};
    }
  }
  count_ += values.size();
  for (const Block& block : blocks) {
    low_ = std::min(low_, block.low);
    high_ = std::max(high_, block.high);
    if (block.low <= block.high) moving_.AddExtremes(block.low, block.high);
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
