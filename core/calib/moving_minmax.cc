#include "core/calib/moving_minmax.h"

#include <algorithm>
#include <cmath>

namespace haq::calib {

void MovingMinMax::AddExtremes(float low, float high) {
  pending_.low = std::min(pending_.low, double(low));
  pending_.high = std::max(pending_.high, double(high));
}

void MovingMinMax::EndImage() {
  if (++pending_images_ == kMicroBatchImages) EndMicroBatch();
}

void MovingMinMax::EndMicroBatch() {
  if (pending_.low <= pending_.high) {  // else no value of it was finite
    if (micro_batches_ == 0) {
      first_ = average_ = pending_;
    } else {
      average_.low += kAveragingConstant * (pending_.low - average_.low);
      average_.high += kAveragingConstant * (pending_.high - average_.high);
    }
    ++micro_batches_;
  }
  pending_ = {};
  pending_images_ = 0;
}

void MovingMinMax::Append(const MovingMinMax& later) {
  if (later.micro_batches_ == 0) {
    for (uint32_t i = 0; i < later.pending_images_; ++i) {
      AddExtremes(static_cast<float>(later.pending_.low), static_cast<float>(later.pending_.high));
      EndImage();
    }
    return;
  }
  if (pending_images_ > 0) EndMicroBatch();
  if (micro_batches_ == 0) {
    *this = later;
    return;
  }
  // With k micro-batches b_1 .. b_k, `later` is (1-c)^(k-1) b_1 + (terms of b_2 .. b_k), and what
  // we want is (1-c)^k average + c (1-c)^(k-1) b_1 + (the same terms).
  const double keep = std::pow(1 - kAveragingConstant, double(later.micro_batches_));
  average_.low = keep * (average_.low - later.first_.low) + later.average_.low;
  average_.high = keep * (average_.high - later.first_.high) + later.average_.high;
  average_.high = std::max(average_.high, average_.low);  // against rounding
  micro_batches_ += later.micro_batches_;
  pending_images_ = later.pending_images_;
  pending_ = later.pending_;
}

quant::Range MovingMinMax::Current() const {
  MovingMinMax ended = *this;
  if (ended.pending_images_ > 0) ended.EndMicroBatch();
  return {ended.average_.low, ended.average_.high};
}

void MovingMinMax::Save(ByteWriter& writer) const {
  writer.Write(micro_batches_);
  writer.Write(pending_images_);
  for (const Extremes& extremes : {first_, average_, pending_}) {
    writer.Write(extremes.low);
    writer.Write(extremes.high);
  }
}

Status MovingMinMax::Restore(ByteReader& reader) {
  micro_batches_ = reader.Read<uint64_t>();
  pending_images_ = reader.Read<uint32_t>();
  for (Extremes* extremes : {&first_, &average_, &pending_}) {
    extremes->low = reader.Read<double>();
    extremes->high = reader.Read<double>();
  }
  const auto valid = [](const Extremes& extremes, bool filled) {
    return filled ? std::isfinite(extremes.low) && std::isfinite(extremes.high) &&
                        extremes.low <= extremes.high
                  : extremes == Extremes{};
  };
  const bool pending_filled = pending_.low <= pending_.high;
  if (reader.failed() || pending_images_ >= kMicroBatchImages ||
      !valid(first_, micro_batches_ > 0) || !valid(average_, micro_batches_ > 0) ||
      !valid(pending_, pending_filled) || (pending_filled && pending_images_ == 0)) {
    return DataLoss("the state of a moving average is damaged");
  }
  return {};
}

}  // namespace haq::calib
