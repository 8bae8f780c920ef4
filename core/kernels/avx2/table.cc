// Compiled for any processor: what is handed to the portable drivers.
#include "core/kernels/avx2/table.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "core/fixedpoint/wide.h"
#include "core/kernels/avx2/depthwise.h"
#include "core/kernels/avx2/elementwise.h"
#include "core/kernels/avx2/linear.h"
#include "core/kernels/avx2/tiles.h"
#include "core/kernels/avx2/wide.h"
#include "core/kernels/avx2/winograd.h"
#include "core/kernels/ref/portable.h"
#include "core/kernels/simd/channel_block.h"
#include "core/kernels/simd/conv.h"
#include "core/kernels/simd/depthwise.h"
#include "core/kernels/simd/linear.h"
#include "core/kernels/simd/row_operators.h"
#include "core/kernels/simd/winograd.h"

namespace haq::kernels {
namespace avx2 {
namespace {

const simd::TileIsa& Tiles() {
  static const simd::TileIsa isa = [] {
    simd::TileIsa made{8, kMaxPixels, 2, 2, false, {}, &WidenLevels, &FillWide};
    std::copy(std::begin(kTiles), std::end(kTiles), made.tile[1]);
    return made;
  }();
  return isa;
}

void PackHeader(const ChannelRequantize* channels, void* to) {
  const simd::ChannelBlock block = simd::MakeChannelBlock(8, 2, channels, 16);
  std::memcpy(to, &block, sizeof(block));
}

// [slot / 2][vector][lane][slot % 2]
void PackWeights(const int8_t* slot_weights, int64_t slots, void* to) {
  auto* weights = static_cast<int16_t*>(to);
  for (int64_t slot = 0; slot < slots; ++slot) {
    for (int64_t at = 0; at < 16; ++at) {
      const int64_t c = simd::ChannelOf(2, at / 8, at % 8);
      weights[(slot / 2 * 16 + at) * 2 + slot % 2] = slot_weights[slot * 16 + c];
    }
  }
}

constexpr simd::DepthwiseIsa kDepthwise{
    16, 2, false, 32, sizeof(simd::ChannelBlock), &PackHeader, &PackWeights, &DepthwiseRowOf};
// Whole vectors, and what is left.
void WideRowOf(const wide::Row& row) {
  wide::Row rest = row, whole = row;
  whole.count = row.count / kWideLanes * kWideLanes;
  WideRow(whole);
  rest.count -= whole.count;
  if (rest.count == 0) return;
  rest.low += whole.count;
  if (rest.high != nullptr) rest.high += whole.count;
  rest.channels += whole.count;
  if (rest.residual != nullptr) rest.residual += whole.count * (row.residual_is_wide ? 2 : 1);
  rest.out += whole.count * (row.out_is_wide ? 2 : 1);
  ref::WideRow(rest);
}

// Three by three convolutions take fewer products than their definition has, where that pays.
const simd::WinogradIsa& Winograd() {
  static const simd::WinogradIsa isa = [] {
    simd::WinogradIsa made{8, kMaxPixels, &TransformPatch, {}, &StoreWinograd, &WidenLevels};
    std::copy(std::begin(kWinogradDots), std::end(kWinogradDots), made.dots);
    return made;
  }();
  return isa;
}

size_t ConvPackedBytes(const ConvShape& s) {
  return simd::IsWinograd(s) ? simd::WinogradPackedBytes(Winograd(), s)
                             : simd::ConvPackedBytes(Tiles(), s);
}
void ConvPack(const ConvShape& s, const int8_t* weight, const ChannelRequantize* channels,
              void* packed) {
  if (simd::IsWinograd(s)) return simd::WinogradPack(Winograd(), s, weight, channels, packed);
  simd::ConvPack(Tiles(), s, weight, channels, packed);
}
size_t ConvWorkspaceBytes(const ConvShape& s) {
  return simd::IsWinograd(s) ? simd::WinogradWorkspaceBytes(Winograd(), s)
                             : simd::ConvWorkspaceBytes(Tiles(), s);
}
void ConvRun(const ConvShape& s, const TensorRequantize& r, const Residual& residual,
             const void* packed, const uint8_t* in, uint8_t* out, void* workspace, Part part) {
  if (simd::IsWinograd(s)) {
    return simd::WinogradRun(Winograd(), s, r, residual, packed, in, out, workspace, part);
  }
  simd::ConvRun(Tiles(), s, r, residual, packed, in, out, workspace, part);
}

constexpr simd::RowIsa kRows{&AddRow,   &QuantizeRow, &InterleaveThree,
                             &MaxPixel, &SumPixels,   &StoreSums};

}  // namespace
}  // namespace avx2

const KernelTable& Avx2Kernels() {
  using namespace avx2;
  static const KernelTable kTable{
      "avx2",
      {&ConvPackedBytes, &ConvPack, &ConvWorkspaceBytes, &ConvRun},
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
      &WideRowOf,
      &LinearDots,
  };
  return kTable;
}

}  // namespace haq::kernels
