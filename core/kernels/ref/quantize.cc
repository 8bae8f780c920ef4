#include "core/kernels/ref/portable.h"

namespace haq::kernels::ref {
namespace {

// Adding and subtracting 1.5 * 2^23 rounds any |y| < 2^22 to an integer with ties to even: the sum
// has no fraction bits left.
constexpr float kRounder = 12582912.0f;
// Beyond every level, whatever the zero point, and exact after rounding.
constexpr float kBeyond = 1024.0f;

uint8_t QuantizeOne(float x, float scale, int32_t zero_point) {
  float y = x / scale + kTieBreak;
  y = y != y ? 0.0f : y;
  y = y < -kBeyond ? -kBeyond : y;
  y = y > kBeyond ? kBeyond : y;
  int32_t q = static_cast<int32_t>((y + kRounder) - kRounder) + zero_point;
  q = q < 0 ? 0 : q;
  q = q > 255 ? 255 : q;
  return static_cast<uint8_t>(q);
}

}  // namespace

void Quantize(const PlaneShape& s, float scale, int32_t zero_point, const float* real,
              uint8_t* levels, Part part) {
  const Range pixels = PartOf(s.pixels, part);
  for (int64_t c = 0; c < s.channels; ++c) {
    for (int64_t p = pixels.begin; p < pixels.end; ++p) {
      levels[p * s.channels + c] = QuantizeOne(real[c * s.pixels + p], scale, zero_point);
    }
  }
}

}  // namespace haq::kernels::ref
