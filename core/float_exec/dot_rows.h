// Matrix times vectors in an order of additions that depends on the vectors' length alone. A BLAS
// rounds a sample's result differently at another place of the batch, which calibration must not
// see. Private to this folder.
#pragma once

#include <cstdint>

namespace haq::float_exec {

// out[sample * out_stride + row] = dot(x + sample * depth, weight + row * depth) + bias[row] for
// `rows` rows and `samples` samples; `bias` may be null.
void DotRows(const float* weight, const float* bias, int64_t rows, int64_t depth, const float* x,
             int64_t samples, float* out, int64_t out_stride);

}  // namespace haq::float_exec
