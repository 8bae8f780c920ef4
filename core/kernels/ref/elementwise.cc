#include "core/kernels/ref/portable.h"
#include "core/kernels/ref/uniform.h"

namespace haq::kernels::ref {
namespace {

void AddRow(int64_t count, const AddRequantize& r, const uint8_t* __restrict a,
            const uint8_t* __restrict b, uint8_t* __restrict out) {
  const int32_t low = r.q_min, high = r.q_max, shift = r.shift, constant = r.constant;
  const int16_t m_a = r.multiplier_a, m_b = r.multiplier_b;
  for (int64_t i = 0; i < count; ++i) {
    int32_t q = (int16_t{a[i]} * m_a + int16_t{b[i]} * m_b + constant) >> shift;
    q = q < low ? low : q;
    q = q > high ? high : q;
    out[i] = static_cast<uint8_t>(q);
  }
}

void MulRow(int64_t count, int32_t zero_a, int32_t zero_b, int32_t bias,
            const UniformRequantize& requantize, const uint8_t* a, const uint8_t* b, uint8_t* out) {
  for (int64_t first = 0; first < count; first += kLanes) {
    const int64_t lanes = std::min<int64_t>(kLanes, count - first);
    int32_t acc[kLanes] = {};
    for (int64_t i = 0; i < lanes; ++i) {
      acc[i] = (a[first + i] - zero_a) * (b[first + i] - zero_b) + bias;
    }
    requantize.Lanes(acc, lanes, out + first);
  }
}

// Operands of the same shape are one long row.
PairShape Joined(const PairShape& s) {
  if (s.b_row_stride != s.columns) return s;
  return {1, s.rows * s.columns, s.rows * s.columns};
}

}  // namespace

void Add(const PairShape& shape, const AddRequantize& requantize, const uint8_t* a,
         const uint8_t* b, uint8_t* out) {
  const PairShape s = Joined(shape);
  for (int64_t row = 0; row < s.rows; ++row) {
    AddRow(s.columns, requantize, a + row * s.columns, b + row * s.b_row_stride,
           out + row * s.columns);
  }
}

void Mul(const PairShape& shape, uint8_t zero_a, uint8_t zero_b, const TensorRequantize& requantize,
         const ChannelRequantize& channel, const uint8_t* a, const uint8_t* b, uint8_t* out) {
  const PairShape s = Joined(shape);
  const UniformRequantize uniform(channel, requantize);
  for (int64_t row = 0; row < s.rows; ++row) {
    MulRow(s.columns, zero_a, zero_b, channel.bias, uniform, a + row * s.columns,
           b + row * s.b_row_stride, out + row * s.columns);
  }
}

void Table(int64_t count, const uint8_t table[256], const uint8_t* in, uint8_t* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = table[in[i]];
}

EndCounts CountEnds(int64_t count, const uint8_t* levels) {
  EndCounts ends;
  for (int64_t i = 0; i < count; ++i) {
    ends.low += levels[i] == 0;
    ends.high += levels[i] == 255;
  }
  return ends;
}

void Softmax(int64_t rows, int64_t length, const uint32_t table[256], const uint8_t* in,
             uint16_t* out) {
  for (int64_t row = 0; row < rows; ++row, in += length, out += length) {
    uint8_t largest = 0;
    int64_t histogram[256] = {};
    for (int64_t i = 0; i < length; ++i) {
      largest = std::max(largest, in[i]);
      ++histogram[in[i]];
    }
    uint64_t sum = 0;
    for (int32_t q = 0; q <= largest; ++q) {
      sum += static_cast<uint64_t>(histogram[q]) * table[largest - q];
    }
    // One division for each level that occurs instead of one for each element.
    uint16_t probability[256];
    for (int32_t q = 0; q <= largest; ++q) {
      if (histogram[q] == 0) continue;
      probability[q] =
          static_cast<uint16_t>((uint64_t{table[largest - q]} * 65535 + sum / 2) / sum);
    }
    for (int64_t i = 0; i < length; ++i) out[i] = probability[in[i]];
  }
}

}  // namespace haq::kernels::ref
