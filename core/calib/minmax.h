// `minmax`: the smallest and the largest value seen. Independent of the order and the grouping of
// the values.
#pragma once

#include <limits>

#include "core/calib/observer.h"

namespace haq::calib {

class MinMaxObserver final : public Observer {
 public:
  static constexpr std::string_view kName = "minmax";

  void Observe(std::span<const float> values) override;
  Status Merge(const Observer& other) override;
  void Save(ByteWriter& writer) const override;
  Status Restore(ByteReader& reader) override;
  Result<quant::Range> ChooseRange() const override;

 private:
  float low_ = std::numeric_limits<float>::infinity();
  float high_ = -std::numeric_limits<float>::infinity();
  uint64_t count_ = 0;
  uint64_t not_finite_ = 0;
};

}  // namespace haq::calib
