#include "core/float_exec/plain_layout.h"

#include <ATen/Parallel.h>

#include <algorithm>

namespace haq::float_exec {

namespace {

// Columns of a strip are far apart in one of the two layouts; a strip of 16 floats is a cache line.
constexpr int64_t kStrip = 16;

// [positions, channels] -> [channels, positions], for strips begin..end of the positions.
void TransposeStrips(const float* from, float* to, int64_t positions, int64_t channels,
                     int64_t begin, int64_t end) {
  for (int64_t strip = begin; strip < end; ++strip) {
    const int64_t first = strip * kStrip, count = std::min(kStrip, positions - first);
    for (int64_t c0 = 0; c0 < channels; c0 += kStrip) {
      const int64_t c1 = std::min(c0 + kStrip, channels);
      for (int64_t c = c0; c < c1; ++c) {
        const float* source = from + first * channels + c;
        float* target = to + c * positions + first;
        for (int64_t i = 0; i < count; ++i) target[i] = source[i * channels];
      }
    }
  }
}

}  // namespace

at::Tensor PlainLayout(const at::Tensor& tensor) {
  if (tensor.is_contiguous()) return tensor;
  if (tensor.dim() != 4 || !tensor.is_contiguous(at::MemoryFormat::ChannelsLast)) {
    return tensor.contiguous();
  }
  const int64_t channels = tensor.size(1), positions = tensor.size(2) * tensor.size(3);
  const at::Tensor plain = at::empty(tensor.sizes(), tensor.options());
  const float* from = tensor.data_ptr<float>();
  float* to = plain.data_ptr<float>();
  const int64_t strips = (positions + kStrip - 1) / kStrip, sample = channels * positions;
  at::parallel_for(0, tensor.size(0) * strips, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end;) {
      const int64_t n = i / strips, last = std::min(end, (n + 1) * strips);
      TransposeStrips(from + n * sample, to + n * sample, positions, channels, i - n * strips,
                      last - n * strips);
      i = last;
    }
  });
  return plain;
}

}  // namespace haq::float_exec
