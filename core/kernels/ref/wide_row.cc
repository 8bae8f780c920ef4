// What the wide operators do in vectors where there are any: requantization and dot products.
#include "core/kernels/ref/portable.h"
#include "core/kernels/wide.h"

namespace haq::kernels::ref {
namespace {

// Of one row and four weight rows; the compiler widens to 16 bits and multiplies and adds pairs.
void DotFour(const uint8_t* __restrict x, const int8_t* __restrict w, int64_t depth,
             int32_t* __restrict sums) {
  const int8_t *w1 = w + depth, *w2 = w1 + depth, *w3 = w2 + depth;
  int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  for (int64_t i = 0; i < depth; ++i) {
    const int16_t level = x[i];
    s0 += level * int16_t{w[i]}, s1 += level * int16_t{w1[i]};
    s2 += level * int16_t{w2[i]}, s3 += level * int16_t{w3[i]};
  }
  sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

int32_t Dot(const uint8_t* __restrict x, const int8_t* __restrict w, int64_t depth) {
  int32_t sum = 0;
  for (int64_t i = 0; i < depth; ++i) sum += int16_t{x[i]} * int16_t{w[i]};
  return sum;
}

}  // namespace

void WideRow(const wide::Row& row) {
  const fixedpoint::WideOutput output{row.zero_point, row.q_min};
  const fixedpoint::WideResidual requantize{row.residual_multiplier, row.residual_zero};
  const wide::In residual{row.residual, row.residual_is_wide};
  const wide::Out out{row.out, row.out_is_wide};
  for (int64_t i = 0; i < row.count; ++i) {
    const int64_t acc = row.high == nullptr ? row.low[i] : row.low[i] + int64_t{row.high[i]} * 256;
    int64_t t = fixedpoint::WideTerm(acc, row.channels[i]);
    if (row.residual != nullptr) t += fixedpoint::WideResidualTerm(residual.at(i), requantize);
    out.Set(i, fixedpoint::WideLevel(t, row.channels[i].q_max, output));
  }
}

void Dots(const wide::Dots& d) {
  for (int64_t row = 0; row < d.rows; ++row) {
    const uint8_t* x = d.in + row * d.depth;
    int32_t* sums = d.sums + row * wide::kDotOutputs;
    int64_t o = 0;
    for (; o + 4 <= d.outputs; o += 4) DotFour(x, d.weight + o * d.depth, d.depth, sums + o);
    for (; o < d.outputs; ++o) sums[o] = Dot(x, d.weight + o * d.depth, d.depth);
  }
}

}  // namespace haq::kernels::ref
