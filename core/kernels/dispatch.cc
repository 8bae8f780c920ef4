#include <array>
#include <cstdlib>
#include <string>

#include "core/kernels/kernels.h"
#include "core/kernels/ref/portable.h"

#if defined(__x86_64__)
#include "core/kernels/avx2/table.h"
#include "core/kernels/avx512vnni/table.h"
#endif

namespace haq::kernels {
namespace {

constexpr std::string_view kNames[] = {"scalar", "avx2", "avx512vnni"};

#if defined(__x86_64__)
// What the kernels of each folder are compiled with; the operating system saves the registers, or
// the compiler's test says no.
bool HasAvx2() { return __builtin_cpu_supports("avx2"); }
bool HasAvx512Vnni() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni");
}
#endif

struct Supported {
  std::array<const KernelTable*, std::size(kNames)> tables{};
  size_t count = 0;

  Supported() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (HasAvx512Vnni()) tables[count++] = &Avx512VnniKernels();
    if (HasAvx2()) tables[count++] = &Avx2Kernels();
#endif
    tables[count++] = &ReferenceKernels();
  }
};

std::string AllowedNames() {
  std::string names = "auto";
  for (const KernelTable* table : SupportedKernels()) names += std::string(", ") + table->name;
  return names;
}

}  // namespace

const KernelTable& ReferenceKernels() {
  static constexpr KernelTable kTable{
      "scalar",
      {&ref::ConvPackedBytes, &ref::ConvPack, &ref::ConvWorkspaceBytes, &ref::ConvRun},
      {&ref::DepthwisePackedBytes, &ref::DepthwisePack, &ref::DepthwiseWorkspaceBytes,
       &ref::DepthwiseRun},
      {&ref::LinearPackedBytes, &ref::LinearPack, &ref::LinearWorkspaceBytes, &ref::LinearRun},
      &ref::Add,
      &ref::Mul,
      &ref::Table,
      &ref::MaxPool,
      &ref::AvgPool,
      &ref::Softmax,
      &ref::CopyRows,
      &ref::Pad,
      &ref::Slice,
      &ref::Transpose,
      &ref::Quantize,
      &ref::CountEnds,
      &ref::WideRow,
      &ref::Dots,
  };
  return kTable;
}

std::span<const KernelTable* const> SupportedKernels() {
  static const Supported supported;
  return {supported.tables.data(), supported.count};
}

Result<const KernelTable*> FindKernels(std::string_view name) {
  if (name.empty() || name == "auto") return SupportedKernels().front();
  for (const KernelTable* table : SupportedKernels()) {
    if (name == table->name) return table;
  }
  for (const std::string_view known : kNames) {
    if (name == known) {
      return Unsupported("HAQ_CPU: this processor cannot run {}; allowed here: {}", name,
                         AllowedNames());
    }
  }
  return InvalidField("HAQ_CPU", "unknown value \"{}\"; allowed here: {}", name, AllowedNames());
}

Result<const KernelTable*> ActiveKernels() {
  static const Result<const KernelTable*> active = [] {
    const char* name = std::getenv("HAQ_CPU");
    return FindKernels(name == nullptr ? "" : name);
  }();
  return active;
}

}  // namespace haq::kernels
