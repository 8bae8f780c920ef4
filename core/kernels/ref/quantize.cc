#include <limits>

#include "core/kernels/ref/portable.h"
#include "core/kernels/wide.h"

namespace haq::kernels {
namespace {

// Adding and subtracting 1.5 * 2^23 rounds any |y| < 2^22 to an integer with ties to even: the sum
// has no fraction bits left.
constexpr float kRounder = 12582912.0f;

template <typename Level>
Level QuantizeOne(float x, float scale, int32_t zero_point) {
  constexpr int32_t kLast = std::numeric_limits<Level>::max();
  // Beyond every level, whatever the zero point, and exact after rounding.
  constexpr float kBeyond = 4.0f * (kLast + 1);
  float y = x / scale + kTieBreak;
  y = y != y ? 0.0f : y;
  y = y < -kBeyond ? -kBeyond : y;
  y = y > kBeyond ? kBeyond : y;
  int32_t q = static_cast<int32_t>((y + kRounder) - kRounder) + zero_point;
  q = q < 0 ? 0 : q;
  q = q > kLast ? kLast : q;
  return static_cast<Level>(q);
}

template <typename Level>
void QuantizePlanes(const PlaneShape& s, float scale, int32_t zero_point, const float* real,
                    Level* levels, Part part) {
  const Range pixels = PartOf(s.pixels, part);
  for (int64_t c = 0; c < s.channels; ++c) {
    for (int64_t p = pixels.begin; p < pixels.end; ++p) {
      levels[p * s.channels + c] = QuantizeOne<Level>(real[c * s.pixels + p], scale, zero_point);
    }
  }
}

}  // namespace

void ref::Quantize(const PlaneShape& shape, float scale, int32_t zero_point, const float* real,
                   uint8_t* levels, Part part) {
  QuantizePlanes(shape, scale, zero_point, real, levels, part);
}

void wide::Quantize(const PlaneShape& shape, float scale, int32_t zero_point, const float* real,
                    uint16_t* levels, Part part) {
  QuantizePlanes(shape, scale, zero_point, real, levels, part);
}

}  // namespace haq::kernels
