// Depthwise convolution, 16 channels at a time: the levels of two taps, widened to 16 bits, are
// interleaved so that one multiply adds both. Packing undoes the order that unpacking gives.
#include "core/kernels/avx2/depthwise.h"

#include "core/kernels/avx2/store.h"

namespace haq::kernels::avx2 {
namespace {

using simd::DepthwiseRow;

void FindTaps(const DepthwiseRow& r, int64_t ox) {
  const int64_t x0 = ox * r.stride_w - r.pad_left;
  for (int64_t kx = 0; kx < r.kernel_w; ++kx) {
    const int64_t x = x0 + kx * r.dilation_w;
    const bool inside = x >= 0 && x < r.in_w;
    for (int64_t ky = 0; ky < r.kernel_h; ++ky) {
      r.taps[ky * r.kernel_w + kx] = inside ? r.row[ky] + x * r.row_step[ky] : r.zero;
    }
  }
}

struct Pair {
  __m256i v[2];
};

HAQ_INLINE Pair AddTaps(const uint8_t* const* taps, int64_t slots, int64_t c, int64_t count,
                        const uint8_t* weights, Pair acc) {
  for (int64_t slot = 0; slot < slots; slot += 2, weights += 64) {
    const __m256i a = _mm256_cvtepu8_epi16(LoadLevels(taps[slot] + c, count));
    const __m256i b = _mm256_cvtepu8_epi16(LoadLevels(taps[slot + 1] + c, count));
    acc.v[0] =
        _mm256_add_epi32(acc.v[0], _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), Load(weights)));
    acc.v[1] = _mm256_add_epi32(acc.v[1],
                                _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), Load(weights + 32)));
  }
  return acc;
}

HAQ_INLINE __m128i Levels(Pair acc, const ChannelBlock& channels, const TensorStore& store,
                          const uint8_t* residual, int64_t count) {
  if (channels.any_left) {
    acc.v[0] = ShiftLeft(acc.v[0], Load(channels.left));
    acc.v[1] = ShiftLeft(acc.v[1], Load(channels.left + 8));
  }
  __m256i t = Scale(acc.v[0], acc.v[1], Load(channels.shift), Load(channels.shift + 8),
                    Load(channels.multiplier));
  if (residual != nullptr) t = AddResidual(t, LoadLevels(residual, count), store);
  const __m256i rounded = Round(t, store);
  const __m128i packed =
      _mm_packus_epi16(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
  return Clamp(packed, _mm_load_si128(reinterpret_cast<const __m128i*>(channels.q_max)), store);
}

}  // namespace

// The call's fields are copied: a level that is stored could be any of them, so that the compiler
// would load them again every time.
void DepthwiseRowOf(const DepthwiseRow& r) {
  const TensorStore store = *r.store;
  const int64_t slots = r.slots, channel_count = r.channels, blocks = r.blocks;
  const auto block_bytes = static_cast<int64_t>(sizeof(ChannelBlock)) + (slots * 32 + 63) / 64 * 64;
  for (int64_t ox = 0; ox < r.out_w; ++ox) {
    FindTaps(r, ox);
    const uint8_t* const* taps = r.taps;
    const auto* packed = static_cast<const uint8_t*>(r.packed);
    uint8_t* out = r.out + ox * r.out_stride;
    const uint8_t* residual = r.residual == nullptr ? nullptr : r.residual + ox * channel_count;
    for (int64_t c = 0; c < blocks * 16; c += 16, packed += block_bytes) {
      const auto& channels = *reinterpret_cast<const ChannelBlock*>(packed);
      const uint8_t* added = residual == nullptr ? nullptr : residual + c;
      const Pair bias{{Load(channels.bias), Load(channels.bias + 8)}};
      const uint8_t* weights = packed + sizeof(ChannelBlock);
      if (c + 16 <= channel_count) {
        const Pair acc = AddTaps(taps, slots, c, 16, weights, bias);
        StoreLevels(Levels(acc, channels, store, added, 16), 16, out + c);
      } else {
        const int64_t count = channel_count - c;
        const Pair acc = AddTaps(taps, slots, c, count, weights, bias);
        StoreLevels(Levels(acc, channels, store, added, count), count, out + c);
      }
    }
  }
}

}  // namespace haq::kernels::avx2
