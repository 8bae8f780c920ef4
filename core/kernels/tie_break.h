// How KernelTable::quantize decides between two levels. A header of its own, for the sources of one
// instruction set include nothing of the standard library.
#pragma once

namespace haq::kernels {

// Of a step: values just between two levels (those of x / 127.5 - 1 for every pixel) go to the
// upper one, whatever the rounding errors of the program that computed them.
inline constexpr float kTieBreak = 0x1p-10f;

}  // namespace haq::kernels
