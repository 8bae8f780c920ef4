// Bytes that change their place: runs of neighbours are copied whole.
#include <algorithm>
#include <cstring>

#include "core/kernels/ref/portable.h"

namespace haq::kernels::ref {
namespace {

int64_t Product(const Dims& dims, int first, int last) {
  int64_t product = 1;
  for (int i = first; i < last; ++i) product *= dims.size[i];
  return product;
}

// Source of one output element: the strides of the output's dimensions in the input.
struct Strides {
  int64_t at[kMaxRank];
};

// Copies `dims` elements, walking the source with `strides`, into consecutive bytes.
uint8_t* CopyStrided(const Dims& dims, const Strides& strides, int axis, const uint8_t* in,
                     uint8_t* out) {
  const int64_t count = dims.size[axis], stride = strides.at[axis];
  if (axis + 1 < dims.rank) {
    for (int64_t i = 0; i < count; ++i) {
      out = CopyStrided(dims, strides, axis + 1, in + i * stride, out);
    }
    return out;
  }
  if (stride == 1) {
    std::memcpy(out, in, static_cast<size_t>(count));
  } else {
    for (int64_t i = 0; i < count; ++i) out[i] = in[i * stride];
  }
  return out + count;
}

}  // namespace

void CopyRows(int64_t rows, int64_t in_row, int64_t out_row, const uint8_t* in, uint8_t* out) {
  for (int64_t row = 0; row < rows; ++row) {
    std::memcpy(out + row * out_row, in + row * in_row, static_cast<size_t>(in_row));
  }
}

void Pad(const Dims& in_dims, const int32_t* before, const int32_t* after, uint8_t value,
         const uint8_t* in, uint8_t* out) {
  Dims out_dims = in_dims;
  for (int i = 0; i < in_dims.rank; ++i) out_dims.size[i] += before[i] + after[i];
  const int last = in_dims.rank - 1;
  const int64_t in_row = in_dims.size[last], out_row = out_dims.size[last];
  std::memset(out, value, static_cast<size_t>(Product(out_dims, 0, out_dims.rank)));
  for (int64_t row = 0; row < Product(in_dims, 0, last); ++row) {
    // The row's place in the output, dimension by dimension.
    int64_t rest = row, scale = 1, to = 0;
    for (int i = last - 1; i >= 0; --i) {
      to += (rest % in_dims.size[i] + before[i]) * scale;
      rest /= in_dims.size[i];
      scale *= out_dims.size[i];
    }
    std::memcpy(out + to * out_row + before[last], in + row * in_row, static_cast<size_t>(in_row));
  }
}

void Slice(const Dims& in_dims, int32_t axis, int32_t start, int32_t step, int32_t count,
           const uint8_t* in, uint8_t* out) {
  const int64_t inner = Product(in_dims, axis + 1, in_dims.rank);
  for (int64_t outer = 0; outer < Product(in_dims, 0, axis); ++outer) {
    const uint8_t* from = in + outer * in_dims.size[axis] * inner;
    for (int64_t i = 0; i < count; ++i, out += inner) {
      std::memcpy(out, from + (start + i * step) * inner, static_cast<size_t>(inner));
    }
  }
}

void Transpose(const Dims& in_dims, const int32_t* order, const uint8_t* in, uint8_t* out) {
  Dims out_dims = in_dims;
  Strides strides{};
  for (int i = 0; i < in_dims.rank; ++i) {
    out_dims.size[i] = in_dims.size[order[i]];
    strides.at[i] = Product(in_dims, order[i] + 1, in_dims.rank);
  }
  CopyStrided(out_dims, strides, 0, in, out);
}

}  // namespace haq::kernels::ref
