// Depthwise convolution, 64 channels at a time. The bytes of four taps are interleaved so that one
// dot product adds four taps of 16 channels; the unpacking order is the one that packing undoes:
// vector v of the accumulators holds channels 16i + 4v .. 16i + 4v + 3 in its 128-bit lane i.
#include "core/kernels/avx512vnni/depthwise.h"

#include "core/kernels/avx512vnni/store.h"

namespace haq::kernels::avx512vnni {
namespace {

using simd::DepthwiseRow;

struct Quad {
  __m512i v[4];
};

HAQ_INLINE Quad Interleave(__m512i a, __m512i b, __m512i c, __m512i d) {
  const __m512i ab0 = _mm512_unpacklo_epi8(a, b), ab1 = _mm512_unpackhi_epi8(a, b);
  const __m512i cd0 = _mm512_unpacklo_epi8(c, d), cd1 = _mm512_unpackhi_epi8(c, d);
  return {{_mm512_unpacklo_epi16(ab0, cd0), _mm512_unpackhi_epi16(ab0, cd0),
           _mm512_unpacklo_epi16(ab1, cd1), _mm512_unpackhi_epi16(ab1, cd1)}};
}

HAQ_INLINE void AddTaps(Quad& acc, const Quad& x, const uint8_t* weights) {
  acc.v[0] = _mm512_dpbusd_epi32(acc.v[0], x.v[0], _mm512_load_si512(weights));
  acc.v[1] = _mm512_dpbusd_epi32(acc.v[1], x.v[1], _mm512_load_si512(weights + 64));
  acc.v[2] = _mm512_dpbusd_epi32(acc.v[2], x.v[2], _mm512_load_si512(weights + 128));
  acc.v[3] = _mm512_dpbusd_epi32(acc.v[3], x.v[3], _mm512_load_si512(weights + 192));
}

HAQ_INLINE Quad LoadBias(const DepthwiseHeader& h) {
  return {{_mm512_load_si512(h.bias), _mm512_load_si512(h.bias + 16),
           _mm512_load_si512(h.bias + 32), _mm512_load_si512(h.bias + 48)}};
}

// 64 levels of the accumulators; `levels` of the residual, if there is one.
template <bool kPlain>
HAQ_INLINE __m512i Levels(Quad acc, const DepthwiseHeader& h, const Store& store, bool residual,
                          __m512i levels) {
  if (!kPlain && h.any_left) {
    HAQ_UNROLL for (int v = 0; v < 4; ++v) {
      acc.v[v] = ShiftLeft(acc.v[v], _mm512_load_si512(h.left + 16 * v));
    }
  }
  __m512i t0 = Scale(acc.v[0], acc.v[1], _mm512_load_si512(h.shift),
                     _mm512_load_si512(h.shift + 16), _mm512_load_si512(h.multiplier));
  __m512i t1 = Scale(acc.v[2], acc.v[3], _mm512_load_si512(h.shift + 32),
                     _mm512_load_si512(h.shift + 48), _mm512_load_si512(h.multiplier + 32));
  if (!kPlain && residual) {
    const __m512i zero = _mm512_setzero_si512();
    t0 = AddResidual(t0, _mm512_unpacklo_epi8(levels, zero), store);
    t1 = AddResidual(t1, _mm512_unpackhi_epi8(levels, zero), store);
  }
  const __m512i packed = _mm512_packus_epi16(Round(t0, store), Round(t1, store));
  return Clamp(packed, _mm512_load_si512(h.q_max), store);
}

// What a row of windows of 3 x 3 needs for one block of channels, as values: a level that is stored
// could be any of the caller's fields, so that the compiler would load those again every time.
struct Window {
  const uint8_t *row0, *row1, *row2, *zero;
  int64_t step0, step1, step2, in_w;
  int64_t apart;  // columns between the two pixels of a pair
  __mmask64 mask;
  uint8_t* out;
  const uint8_t* residual;
  int64_t out_w, out_stride, residual_stride;
};

HAQ_INLINE Window MakeWindow(const DepthwiseRow& r, int64_t c) {
  const int64_t rest = r.channels - c, count = rest < 64 ? rest : 64;
  return {r.row[0] + c,  r.row[1] + c,
          r.row[2] + c,  r.zero + c,
          r.row_step[0], r.row_step[1],
          r.row_step[2], r.in_w,
          r.stride_w,    ~__mmask64{0} >> (64 - count),
          r.out + c,     r.residual == nullptr ? nullptr : r.residual + c,
          r.out_w,       r.out_stride,
          r.channels};
}

// 64 channels of one pixel, or, in blocks of no more than 32, those of two pixels: such blocks are
// packed twice.
template <bool kPairs>
HAQ_INLINE __m512i LoadPixel(__mmask64 mask, const uint8_t* first, const uint8_t* second) {
  if (!kPairs) return _mm512_maskz_loadu_epi8(mask, first);
  const auto half = static_cast<__mmask32>(mask);
  return _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_maskz_loadu_epi8(half, first)),
                            _mm256_maskz_loadu_epi8(half, second), 1);
}

// The bytes of one column of the window; columns outside are zero points.
template <bool kPairs>
HAQ_INLINE Quad LoadColumn(const Window& w, int64_t x) {
  const uint8_t *a0 = w.zero, *a1 = w.zero, *a2 = w.zero, *b0 = w.zero, *b1 = w.zero, *b2 = w.zero;
  if (x >= 0 && x < w.in_w) {
    a0 = w.row0 + x * w.step0, a1 = w.row1 + x * w.step1, a2 = w.row2 + x * w.step2;
  }
  if (kPairs && x + w.apart >= 0 && x + w.apart < w.in_w) {
    const int64_t y = x + w.apart;
    b0 = w.row0 + y * w.step0, b1 = w.row1 + y * w.step1, b2 = w.row2 + y * w.step2;
  }
  return Interleave(LoadPixel<kPairs>(w.mask, a0, b0), LoadPixel<kPairs>(w.mask, a1, b1),
                    LoadPixel<kPairs>(w.mask, a2, b2), _mm512_setzero_si512());
}

// Output ox, or outputs ox and ox + 1.
template <bool kPairs, bool kPlain>
HAQ_INLINE void StoreOutputs(const Window& w, const DepthwiseHeader& h, const Store& store,
                             const Quad& acc, int64_t ox) {
  uint8_t* out = w.out + ox * w.out_stride;
  const auto half = static_cast<__mmask32>(w.mask);
  const __mmask32 second = ox + 1 < w.out_w ? half : 0;
  __m512i added = _mm512_setzero_si512();
  if (!kPlain && w.residual != nullptr) {
    const uint8_t* residual = w.residual + ox * w.residual_stride;
    if (!kPairs) {
      added = _mm512_maskz_loadu_epi8(w.mask, residual);
    } else {
      added = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_maskz_loadu_epi8(half, residual)),
                                 _mm256_maskz_loadu_epi8(second, residual + w.residual_stride), 1);
    }
  }
  const __m512i levels = Levels<kPlain>(acc, h, store, w.residual != nullptr, added);
  if (!kPairs) return _mm512_mask_storeu_epi8(out, w.mask, levels);
  _mm256_mask_storeu_epi8(out, half, _mm512_castsi512_si256(levels));
  _mm256_mask_storeu_epi8(out + w.out_stride, second, _mm512_extracti64x4_epi64(levels, 1));
}

// Windows of 3 x 3 share their columns: each is interleaved once a row where the next window begins
// kStep = 1 or 2 columns on. kPlain: no channel shifts to the left, and nothing is added.
template <int kStep, bool kPairs, bool kPlain>
__attribute__((noinline)) void ThreeByThree(const DepthwiseRow& r, int64_t block) {
  const Window w = MakeWindow(r, block * 64);
  const Store store = LoadStore(*r.store);
  const uint8_t* packed =
      static_cast<const uint8_t*>(r.packed) + block * (sizeof(DepthwiseHeader) + 12 * 64);
  const auto& header = *reinterpret_cast<const DepthwiseHeader*>(packed);
  const uint8_t* weights = packed + sizeof(DepthwiseHeader);
  int64_t x = -int64_t{r.pad_left};
  Quad column0{}, column1{};
  if (kStep <= 2) column0 = LoadColumn<kPairs>(w, x);
  if (kStep == 1) column1 = LoadColumn<kPairs>(w, x + 1);
  for (int64_t ox = 0; ox < w.out_w; ox += kPairs ? 2 : 1, x += kStep) {
    if (kStep > 2) column0 = LoadColumn<kPairs>(w, x);
    if (kStep > 1) column1 = LoadColumn<kPairs>(w, x + 1);
    const Quad column2 = LoadColumn<kPairs>(w, x + 2);
    Quad acc = LoadBias(header);
    AddTaps(acc, column0, weights);
    AddTaps(acc, column1, weights + 256);
    AddTaps(acc, column2, weights + 512);
    StoreOutputs<kPairs, kPlain>(w, header, store, acc, ox);
    if (kStep == 1) column0 = column1, column1 = column2;
    if (kStep == 2) column0 = column2;
  }
}

template <bool kPlain>
void AnyThreeByThree(const DepthwiseRow& r, int64_t block) {
  const bool pairs = r.channels - block * 64 <= 32;
  if (r.stride_w == 1) {
    return pairs ? ThreeByThree<2, true, kPlain>(r, block)
                 : ThreeByThree<1, false, kPlain>(r, block);
  }
  pairs ? ThreeByThree<4, true, kPlain>(r, block) : ThreeByThree<2, false, kPlain>(r, block);
}

void FindTaps(const DepthwiseRow& r, int64_t ox) {
  const int64_t x0 = ox * r.stride_w - r.pad_left;
  for (int64_t kx = 0; kx < r.kernel_w; ++kx) {
    const int64_t x = x0 + kx * r.dilation_w;
    const bool inside = x >= 0 && x < r.in_w;
    for (int64_t ky = 0; ky < r.kernel_h; ++ky) {
      const int64_t slot = r.by_columns ? 4 * kx + ky : ky * r.kernel_w + kx;
      r.taps[slot] = inside ? r.row[ky] + x * r.row_step[ky] : r.zero;
    }
  }
}

void AnyWindow(const DepthwiseRow& r, const Store& store, int64_t ox) {
  FindTaps(r, ox);
  const int64_t block_bytes = static_cast<int64_t>(sizeof(DepthwiseHeader)) + r.slots * 64;
  for (int64_t block = 0; block < r.blocks; ++block) {
    const int64_t c = block * 64, rest = r.channels - c;
    const __mmask64 mask = ~__mmask64{0} >> (rest < 64 ? 64 - rest : 0);
    const uint8_t* packed = static_cast<const uint8_t*>(r.packed) + block * block_bytes;
    const auto& header = *reinterpret_cast<const DepthwiseHeader*>(packed);
    const uint8_t* weights = packed + sizeof(DepthwiseHeader);
    Quad acc = LoadBias(header);
    for (int64_t slot = 0; slot < r.slots; slot += 4, weights += 256) {
      AddTaps(acc,
              Interleave(_mm512_maskz_loadu_epi8(mask, r.taps[slot] + c),
                         _mm512_maskz_loadu_epi8(mask, r.taps[slot + 1] + c),
                         _mm512_maskz_loadu_epi8(mask, r.taps[slot + 2] + c),
                         _mm512_maskz_loadu_epi8(mask, r.taps[slot + 3] + c)),
              weights);
    }
    __m512i added = _mm512_setzero_si512();
    if (r.residual != nullptr) {
      added = _mm512_maskz_loadu_epi8(mask, r.residual + ox * r.channels + c);
    }
    _mm512_mask_storeu_epi8(r.out + ox * r.out_stride + c, mask,
                            Levels<false>(acc, header, store, r.residual != nullptr, added));
  }
}

}  // namespace

void DepthwiseRowOf(const DepthwiseRow& r) {
  if (r.kernel_h != 3 || r.kernel_w != 3 || r.dilation_w != 1 || r.stride_w > 2) {
    const Store store = LoadStore(*r.store);
    for (int64_t ox = 0; ox < r.out_w; ++ox) AnyWindow(r, store, ox);
    return;
  }
  for (int64_t block = 0; block < r.blocks; ++block) {
    const uint8_t* packed =
        static_cast<const uint8_t*>(r.packed) + block * (sizeof(DepthwiseHeader) + 12 * 64);
    const bool left = reinterpret_cast<const DepthwiseHeader*>(packed)->any_left != 0;
    left || r.residual != nullptr ? AnyThreeByThree<false>(r, block)
                                  : AnyThreeByThree<true>(r, block);
  }
}

}  // namespace haq::kernels::avx512vnni
