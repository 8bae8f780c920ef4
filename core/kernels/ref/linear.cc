// Linear layers read the int8 weights where they lie and widen them on the way: large ones are as
// fast as the memory.
#include "core/kernels/ref/channel_block.h"
#include "core/kernels/ref/portable.h"

namespace haq::kernels::ref {
namespace {

constexpr int64_t kRows = 4;  // samples that one pass over the weights serves

int64_t Blocks(const LinearShape& s) { return DivideUp(s.outputs, kLanes); }

// acc[j] += dot(x, weight row j) for four rows.
void DotFour(const int16_t* __restrict x, const int8_t* __restrict w, int64_t depth,
             int32_t* __restrict acc) {
  const int8_t *w1 = w + depth, *w2 = w1 + depth, *w3 = w2 + depth;
  int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  for (int64_t i = 0; i < depth; ++i) {
    s0 += x[i] * w[i], s1 += x[i] * w1[i], s2 += x[i] * w2[i], s3 += x[i] * w3[i];
  }
  acc[0] += s0, acc[1] += s1, acc[2] += s2, acc[3] += s3;
}

int32_t Dot(const int16_t* __restrict x, const int8_t* __restrict w, int64_t depth) {
  int32_t sum = 0;
  for (int64_t i = 0; i < depth; ++i) sum += x[i] * w[i];
  return sum;
}

// The dot products of `count` weight rows, added to acc.
void DotRows(const int16_t* x, const int8_t* weight, int64_t depth, int64_t count, int32_t* acc) {
  int64_t o = 0;
  for (; o + 4 <= count; o += 4) DotFour(x, weight + o * depth, depth, acc + o);
  for (; o < count; ++o) acc[o] += Dot(x, weight + o * depth, depth);
}

}  // namespace

size_t LinearPackedBytes(const LinearShape& s) { return sizeof(ChannelBlock) * Blocks(s); }

void LinearPack(const LinearShape& s, const ChannelRequantize* channels, void* packed) {
  auto* blocks = static_cast<ChannelBlock*>(packed);
  for (int64_t i = 0; i < Blocks(s); ++i) {
    blocks[i] = MakeChannelBlock(channels + i * kLanes, s.outputs - i * kLanes);
  }
}

size_t LinearWorkspaceBytes(const LinearShape& s) { return sizeof(int16_t) * kRows * s.inputs; }

void LinearRun(const LinearShape& s, const TensorRequantize& requantize, const void* packed,
               const int8_t* weight, int64_t rows, const uint8_t* in, uint8_t* out, void* workspace,
               Part part) {
  const auto* blocks = static_cast<const ChannelBlock*>(packed);
  auto* x = static_cast<int16_t*>(workspace);
  const int64_t depth = s.inputs;
  const Range range = PartOf(Blocks(s), part);
  for (int64_t first = 0; first < rows; first += kRows) {
    const int64_t chunk = std::min(kRows, rows - first);
    Widen(in + first * depth, chunk * depth, x);
    for (int64_t i = range.begin; i < range.end; ++i) {
      const int64_t o = i * kLanes, count = std::min<int64_t>(kLanes, s.outputs - o);
      for (int64_t row = 0; row < chunk; ++row) {
        int32_t acc[kLanes];
        std::memcpy(acc, blocks[i].bias, sizeof(acc));
        DotRows(x + row * depth, weight + o * depth, depth, count, acc);
        RequantizeLanes(acc, count, blocks[i], requantize, {}, out + (first + row) * s.outputs + o);
      }
    }
  }
}

}  // namespace haq::kernels::ref
