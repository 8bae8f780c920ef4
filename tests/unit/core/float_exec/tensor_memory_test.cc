#include "core/float_exec/tensor_memory.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/resource.h>

#include <thread>

namespace haq::float_exec {
namespace {

constexpr int64_t kElements = 1 << 22;  // 16 MiB, which malloc returns to the system at once

int64_t PageFaults() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

// Without what malloc could return.
int64_t ResidentBytes() {
  malloc_trim(0);
  std::FILE* const file = std::fopen("/proc/self/statm", "r");
  int64_t size = 0, resident = 0;
  EXPECT_EQ(std::fscanf(file, "%ld %ld", &size, &resident), 2);
  std::fclose(file);
  return resident * 4096;
}

TEST(KeptTensorMemory, TensorsGetTheMemoryOfThoseBefore) {
  const KeptTensorMemory memory;
  const void* const first = at::zeros({kElements}).data_ptr();
  const int64_t faults = PageFaults();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(at::ones({kElements - i}).data_ptr(), first);
  EXPECT_LT(PageFaults() - faults, kElements * 4 / 4096);  // a page each is what one tensor costs
  // A tensor that would leave most of it idle gets other memory.
  EXPECT_NE(at::ones({kElements / 4}).data_ptr(), first);
}

TEST(KeptTensorMemory, AliveTensorsDoNotShare) {
  const KeptTensorMemory memory;
  { const at::Tensor dead = at::ones({kElements}); }
  const at::Tensor one = at::ones({kElements}), two = at::zeros({kElements});
  EXPECT_EQ(one.sum().item<double>(), kElements);
  EXPECT_EQ(two.sum().item<double>(), 0);
}

TEST(KeptTensorMemory, KeepsNoMoreThanWasInUseAtATime) {
  const KeptTensorMemory memory;
  const int64_t before = ResidentBytes();
  // None of these fits into the memory of another.
  for (int64_t elements = kElements; elements > kElements / 100; elements = elements * 2 / 5) {
    const at::Tensor dead = at::ones({elements});
  }
  for (int64_t elements = kElements / 100; elements < kElements; elements = elements * 5 / 2) {
    const at::Tensor dead = at::ones({elements});
  }
  EXPECT_LT(ResidentBytes(), before + kElements * 4 * 5 / 4);
}

TEST(KeptTensorMemory, GoesBackWithTheLastUser) {
  { const KeptTensorMemory other; }
  const int64_t before = ResidentBytes();
  constexpr int64_t kBytes = kElements * 4;
  {
    const KeptTensorMemory memory;
    { const KeptTensorMemory second; }
    { const at::Tensor dead = at::ones({kElements}); }
    EXPECT_GT(ResidentBytes(), before + kBytes / 2);
  }
  EXPECT_LT(ResidentBytes(), before + kBytes / 2);
  // Without a user nothing is kept.
  { const at::Tensor dead = at::ones({kElements}); }
  EXPECT_LT(ResidentBytes(), before + kBytes / 2);
}

TEST(KeptTensorMemory, TensorsMayOutliveItAndBeOlder) {
  const at::Tensor older = at::ones({kElements});
  at::Tensor younger;
  {
    const KeptTensorMemory memory;
    younger = at::ones({kElements});
  }
  EXPECT_EQ((older + younger).sum().item<double>(), 2 * kElements);
}

TEST(KeptTensorMemory, ThreadsMayShareIt) {
  const KeptTensorMemory memory;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 1; i < 50; ++i) {
        const at::Tensor x = at::full({100'000 * (1 + i % 3)}, t);
        ASSERT_EQ(x.min().item<float>(), t);
        ASSERT_EQ(x.max().item<float>(), t);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace haq::float_exec
