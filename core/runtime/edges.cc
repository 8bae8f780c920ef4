#include "core/runtime/edges.h"

#include <cstring>

#include "core/kernels/wide.h"

namespace haq::runtime {
namespace {

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

void QuantizeSample(const artifact::Tensor& tensor, const kernels::KernelTable& kernels,
                    const float* real, uint8_t* stored, kernels::Part part) {
  const Planes planes(tensor);
  const kernels::PlaneShape shape{planes.channels, planes.pixels};
  if (tensor.type == artifact::DataType::kUint16) {
    // Tensors start at multiples of 64 bytes.
    kernels::wide::Quantize(shape, tensor.scale, tensor.zero_point, real,
                            reinterpret_cast<uint16_t*>(stored), part);
  } else {
    kernels.quantize(shape, tensor.scale, tensor.zero_point, real, stored, part);
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
