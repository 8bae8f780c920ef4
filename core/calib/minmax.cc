#include "core/calib/minmax.h"

#include <algorithm>
#include <cmath>

namespace haq::calib {

void MinMaxObserver::Observe(std::span<const float> values) {
  float low = low_, high = high_;
  uint64_t not_finite = 0;
  for (const float value : values) {
    if (!(std::abs(value) <= std::numeric_limits<float>::max())) {
      ++not_finite;
      continue;
    }
    low = std::min(low, value);
    high = std::max(high, value);
  }
  low_ = low;
  high_ = high;
  count_ += values.size();
  not_finite_ += not_finite;
}

Status MinMaxObserver::Merge(const Observer& other) {
  const auto* same = dynamic_cast<const MinMaxObserver*>(&other);
  if (!same) return InvalidArgument("observers of different methods cannot be merged");
  low_ = std::min(low_, same->low_);
  high_ = std::max(high_, same->high_);
  count_ += same->count_;
  not_finite_ += same->not_finite_;
  return {};
}

void MinMaxObserver::Save(ByteWriter& writer) const {
  writer.Write(low_);
  writer.Write(high_);
  writer.Write(count_);
  writer.Write(not_finite_);
}

Status MinMaxObserver::Restore(ByteReader& reader) {
  low_ = reader.Read<float>();
  high_ = reader.Read<float>();
  count_ = reader.Read<uint64_t>();
  not_finite_ = reader.Read<uint64_t>();
  if (reader.failed()) return DataLoss("the state of a minmax observer is truncated");
  return {};
}

Result<quant::Range> MinMaxObserver::ChooseRange() const {
  if (count_ == 0) return FailedPrecondition("no values were observed");
  if (not_finite_ > 0) {
    return InvalidArgument("{} of {} values are NaN or infinite", not_finite_, count_);
  }
  return quant::Range{low_, high_};
}

}  // namespace haq::calib
