// What the processor gives when nothing but multiply-adds in registers is asked of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace haq::bench {

struct Peak {
  std::string instruction;  // "vpdpbusd 512", "vpmaddwd 256"
  double gmacs = 0;         // 10^9 multiply-adds of 8-bit numbers a second, one thread
};
// Of the instruction that these kernels are made of (kernels::KernelTable::name); empty for
// portable ones. The best of several short runs on the calling thread's own processor time.
Peak MeasurePeak(std::string_view kernel_path);

// Each does `rounds` rounds of independent instructions and returns the multiply-adds of one round.
int64_t RoundsAvx512Vnni(int64_t rounds);
int64_t RoundsAvx2(int64_t rounds);

}  // namespace haq::bench
