// Compiled for any processor: what is handed to the portable drivers.
#include "core/kernels/avx512vnni/table.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "core/kernels/avx512vnni/depthwise.h"
#include "core/kernels/avx512vnni/elementwise.h"
#include "core/kernels/avx512vnni/linear.h"
#include "core/kernels/avx512vnni/tiles.h"
#include "core/kernels/avx512vnni/wide.h"
#include "core/kernels/ref/portable.h"
#include "core/kernels/simd/conv.h"
#include "core/kernels/simd/depthwise.h"
#include "core/kernels/simd/linear.h"
#include "core/kernels/simd/row_operators.h"

namespace haq::kernels {
namespace avx512vnni {
namespace {

void CopyLevels(int64_t count, const uint8_t* from, uint8_t* to) {
  std::memcpy(to, from, static_cast<size_t>(count));
}
void FillLevels(int64_t count, uint8_t level, uint8_t* to) {
  std::memset(to, level, static_cast<size_t>(count));
}

const simd::TileIsa& Tiles() {
  static const simd::TileIsa isa = [] {
    simd::TileIsa made{16, kMaxPixels, 4, 1, true, {}, &CopyLevels, &FillLevels};
    std::copy(std::begin(kTiles16), std::end(kTiles16), made.tile[0]);
    std::copy(std::begin(kTiles32), std::end(kTiles32), made.tile[1]);
    return made;
  }();
  return isa;
}

// See DepthwiseHeader: position 64-byte lane by lane.
void PackHeader(const ChannelRequantize* channels, void* to) {
  DepthwiseHeader header{};
  for (int64_t c = 0; c < 64; ++c) {
    const ChannelRequantize& r = channels[c];
    const int64_t lane = c / 16, v = c % 16 / 4, j = c % 4, at = v * 16 + lane * 4 + j;
    header.bias[at] = r.bias;
    header.shift[at] = r.shift > 0 ? r.shift : 0;
    header.left[at] = r.shift < 0 ? -r.shift : 0;
    header.any_left |= r.shift < 0;
    header.multiplier[c % 16 / 8 * 32 + lane * 8 + c % 8] = r.multiplier;
    header.q_max[c] = r.q_max;
  }
  std::memcpy(to, &header, sizeof(header));
}

// [slot / 4][vector][lane][slot % 4]
void PackWeights(const int8_t* slot_weights, int64_t slots, void* to) {
  auto* weights = static_cast<int8_t*>(to);
  for (int64_t slot = 0; slot < slots; ++slot) {
    for (int64_t c = 0; c < 64; ++c) {
      const int64_t v = c % 16 / 4, lane = c / 16 * 4 + c % 4;
      weights[((slot / 4 * 4 + v) * 16 + lane) * 4 + slot % 4] = slot_weights[slot * 64 + c];
    }
  }
}

constexpr simd::DepthwiseIsa kDepthwise{
    64, 4, true, 64, sizeof(DepthwiseHeader), &PackHeader, &PackWeights, &DepthwiseRowOf};
constexpr simd::RowIsa kRows{&AddRow,   &QuantizeRow, &InterleaveThree,
                             &MaxPixel, &SumPixels,   &StoreSums};

}  // namespace
}  // namespace avx512vnni

const KernelTable& Avx512VnniKernels() {
  using namespace avx512vnni;
  static const KernelTable kTable{
      "avx512vnni",
      {[](const ConvShape& s) { return simd::ConvPackedBytes(Tiles(), s); },
       [](const ConvShape& s, const int8_t* weight, const ChannelRequantize* channels,
          void* packed) { simd::ConvPack(Tiles(), s, weight, channels, packed); },
       [](const ConvShape& s) { return simd::ConvWorkspaceBytes(Tiles(), s); },
       [](const ConvShape& s, const TensorRequantize& r, const Residual& residual,
          const void* packed, const uint8_t* in, uint8_t* out, void* workspace,
          Part part) { simd::ConvRun(Tiles(), s, r, residual, packed, in, out, workspace, part); }},
      {[](const ConvShape& s) { return simd::DepthwisePackedBytes(kDepthwise, s); },
       [](const ConvShape& s, const int8_t* weight, const ChannelRequantize* channels,
          void* packed) { simd::DepthwisePack(kDepthwise, s, weight, channels, packed); },
       [](const ConvShape& s) { return simd::DepthwiseWorkspaceBytes(kDepthwise, s); },
       [](const ConvShape& s, const TensorRequantize& r, const Residual& residual,
          const void* packed, const uint8_t* in, uint8_t* out, void* workspace, Part part) {
         simd::DepthwiseRun(kDepthwise, s, r, residual, packed, in, out, workspace, part);
       }},
      {&simd::LinearPackedBytes, &simd::LinearPack, [](const LinearShape&) { return size_t{0}; },
       [](const LinearShape& s, const TensorRequantize& r, const void* packed, const int8_t* weight,
          int64_t rows, const uint8_t* in, uint8_t* out, void*,
          Part part) { simd::LinearRun(&LinearTile, s, r, packed, weight, rows, in, out, part); }},
      [](const PairShape& s, const AddRequantize& r, const uint8_t* a, const uint8_t* b,
         uint8_t* out) { simd::Add(kRows, s, r, a, b, out); },
      &ref::Mul,
      &ref::Table,
      [](const WindowShape& s, const uint8_t* in, uint8_t* out, void* workspace, Part part) {
        simd::MaxPool(kRows, s, in, out, workspace, part);
      },
      [](const AvgPoolShape& s, const TensorRequantize& r, const uint8_t* in, uint8_t* out,
         void* workspace) { simd::AvgPool(kRows, s, r, in, out, workspace); },
      &ref::Softmax,
      &ref::CopyRows,
      &ref::Pad,
      &ref::Slice,
      &ref::Transpose,
      [](const PlaneShape& s, float scale, int32_t zero_point, const float* real, uint8_t* levels,
         Part part) { simd::Quantize(kRows, s, scale, zero_point, real, levels, part); },
      [](int64_t count, const uint8_t* levels) {
        simd::EndsCall call{count, levels, 0, 0};
        CountEnds(call);
        return EndCounts{call.low, call.high};
      },
      &WideRow,
      &LinearDots,
  };
  return kTable;
}

}  // namespace haq::kernels
