#include "core/runtime/edges.h"

#include <cstring>

namespace haq::runtime {
namespace {

// Adding and subtracting 1.5 * 2^23 rounds any |y| < 2^22 to an integer with ties to even: the sum
// has no fraction bits left.
constexpr float kRounder = 12582912.0f;
// Beyond every level, whatever the zero point, and exact after rounding.
constexpr float kBeyond = 1024.0f;

uint8_t Quantize(float x, float scale, int32_t zero_point) {
  float y = x / scale;
  y = y != y ? 0.0f : y;
  y = y < -kBeyond ? -kBeyond : y;
  y = y > kBeyond ? kBeyond : y;
  int32_t q = static_cast<int32_t>((y + kRounder) - kRounder) + zero_point;
  q = q < 0 ? 0 : q;
  q = q > 255 ? 255 : q;
  return static_cast<uint8_t>(q);
}

// Images are planes outside and pixels inside: [C][P] and [P][C].
struct Planes {
  int64_t channels = 1, pixels = 1;

  explicit Planes(const artifact::Tensor& tensor) {
    if (tensor.shape.size() == 3) channels = tensor.shape[2];
    pixels = tensor.ElementCount() / channels;
  }
};

template <typename Level>
void Dequantize(const artifact::Tensor& tensor, const uint8_t* stored, float* real) {
  const Planes planes(tensor);
  for (int64_t c = 0; c < planes.channels; ++c) {
    for (int64_t p = 0; p < planes.pixels; ++p) {
      Level q;
      std::memcpy(&q, stored + (p * planes.channels + c) * sizeof(Level), sizeof(Level));
      *real++ = static_cast<float>(int32_t{q} - tensor.zero_point) * tensor.scale;
    }
  }
}

}  // namespace

void QuantizeSample(const artifact::Tensor& tensor, std::span<const float> real,
                    std::span<uint8_t> stored) {
  const Planes planes(tensor);
  const float* from = real.data();
  for (int64_t c = 0; c < planes.channels; ++c) {
    for (int64_t p = 0; p < planes.pixels; ++p) {
      stored[p * planes.channels + c] = Quantize(*from++, tensor.scale, tensor.zero_point);
    }
  }
}

void DequantizeSample(const artifact::Tensor& tensor, std::span<const uint8_t> stored,
                      std::span<float> real) {
  if (tensor.type == artifact::DataType::kUint16) {
    Dequantize<uint16_t>(tensor, stored.data(), real.data());
  } else {
    Dequantize<uint8_t>(tensor, stored.data(), real.data());
  }
}

}  // namespace haq::runtime
