// For the sources of this folder.
#pragma once

#include "core/kernels/wide_row.h"

namespace haq::kernels::avx512vnni {

void WideRow(const wide::Row& row);

}  // namespace haq::kernels::avx512vnni
