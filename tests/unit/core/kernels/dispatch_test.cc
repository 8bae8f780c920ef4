#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/kernels/kernels.h"

namespace haq::kernels {
namespace {

using testing::HasSubstr;

TEST(Dispatch, TheFastestComesFirstAndTheScalarLast) {
  ASSERT_FALSE(SupportedKernels().empty());
  EXPECT_EQ(SupportedKernels().back(), &ReferenceKernels());
  EXPECT_EQ(FindKernels("").value(), SupportedKernels().front());
  EXPECT_EQ(FindKernels("auto").value(), SupportedKernels().front());
}

TEST(Dispatch, EveryTableIsFoundByItsName) {
  for (const KernelTable* table : SupportedKernels()) {
    EXPECT_EQ(FindKernels(table->name).value(), table) << table->name;
  }
}

// A processor that has the instructions runs their tests: an empty list would pass everything.
TEST(Dispatch, NoInstructionSetOfTheProcessorIsLeftOut) {
  __builtin_cpu_init();
  EXPECT_EQ(FindKernels("avx2").ok(), __builtin_cpu_supports("avx2") != 0);
  const bool vnni = __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  EXPECT_EQ(FindKernels("avx512vnni").ok(), vnni);
}

TEST(Dispatch, UnknownNamesListWhatIsAllowed) {
  for (const char* name : {"sse2", "AVX2", "scalar ", "0"}) {
    const auto found = FindKernels(name);
    ASSERT_FALSE(found.ok()) << name;
    EXPECT_EQ(found.status().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(found.status().message(), HasSubstr("HAQ_CPU"));
    EXPECT_THAT(found.status().message(), HasSubstr(std::string("\"") + name + "\""));
    EXPECT_THAT(found.status().message(), HasSubstr("scalar"));
  }
}

}  // namespace
}  // namespace haq::kernels
