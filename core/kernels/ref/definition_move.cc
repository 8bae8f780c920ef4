#include <algorithm>

#include "core/kernels/ref/definition.h"

namespace haq::kernels::definition {
namespace {

struct Index {
  int64_t at[kMaxRank] = {};
};

int64_t Count(const Dims& dims) {
  int64_t count = 1;
  for (int i = 0; i < dims.rank; ++i) count *= dims.size[i];
  return count;
}

Index Unflatten(const Dims& dims, int64_t flat) {
  Index index;
  for (int i = dims.rank - 1; i >= 0; --i) {
    index.at[i] = flat % dims.size[i];
    flat /= dims.size[i];
  }
  return index;
}

int64_t Flatten(const Dims& dims, const Index& index) {
  int64_t flat = 0;
  for (int i = 0; i < dims.rank; ++i) flat = flat * dims.size[i] + index.at[i];
  return flat;
}

}  // namespace

void Concat(int32_t count, const Dims* in_dims, int32_t axis, const uint8_t* const* in,
            uint8_t* out) {
  Dims out_dims = in_dims[0];
  for (int32_t i = 1; i < count; ++i) out_dims.size[axis] += in_dims[i].size[axis];
  int64_t start = 0;
  for (int32_t i = 0; i < count; ++i) {
    for (int64_t flat = 0; flat < Count(in_dims[i]); ++flat) {
      Index index = Unflatten(in_dims[i], flat);
      index.at[axis] += start;
      out[Flatten(out_dims, index)] = in[i][flat];
    }
    start += in_dims[i].size[axis];
  }
}

void Pad(const Dims& in_dims, const int32_t* before, const int32_t* after, uint8_t value,
         const uint8_t* in, uint8_t* out) {
  Dims out_dims = in_dims;
  for (int i = 0; i < in_dims.rank; ++i) out_dims.size[i] += before[i] + after[i];
  std::fill(out, out + Count(out_dims), value);
  for (int64_t flat = 0; flat < Count(in_dims); ++flat) {
    Index index = Unflatten(in_dims, flat);
    for (int i = 0; i < in_dims.rank; ++i) index.at[i] += before[i];
    out[Flatten(out_dims, index)] = in[flat];
  }
}

void Slice(const Dims& in_dims, int32_t axis, int32_t start, int32_t step, int32_t count,
           const uint8_t* in, uint8_t* out) {
  Dims out_dims = in_dims;
  out_dims.size[axis] = count;
  for (int64_t flat = 0; flat < Count(out_dims); ++flat) {
    Index index = Unflatten(out_dims, flat);
    index.at[axis] = start + index.at[axis] * step;
    out[flat] = in[Flatten(in_dims, index)];
  }
}

void Transpose(const Dims& in_dims, const int32_t* order, const uint8_t* in, uint8_t* out) {
  Dims out_dims = in_dims;
  for (int i = 0; i < in_dims.rank; ++i) out_dims.size[i] = in_dims.size[order[i]];
  for (int64_t flat = 0; flat < Count(out_dims); ++flat) {
    const Index from_output = Unflatten(out_dims, flat);
    Index index;
    for (int i = 0; i < in_dims.rank; ++i) index.at[order[i]] = from_output.at[i];
    out[flat] = in[Flatten(in_dims, index)];
  }
}

}  // namespace haq::kernels::definition
