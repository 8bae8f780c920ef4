// Private to core/calib.
#pragma once

#include "core/calib/cell_loops.h"

namespace haq::calib::internal {

#if defined(__x86_64__)
// Count for processors with AVX-512 F, DQ, VL and BW.
Tally CountAvx512(const float* values, size_t count, const GridConstants& grid, uint32_t* lanes);
#endif

}  // namespace haq::calib::internal
