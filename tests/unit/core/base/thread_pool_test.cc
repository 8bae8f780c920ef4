#include "core/base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>

namespace haq {
namespace {

TEST(ThreadPool, EveryIndexOnceAndThreadsDoNotOverlap) {
  ThreadPool pool(4);
  ASSERT_EQ(pool.threads(), 4);
  for (const int64_t count : {0, 1, 3, 1000}) {
    std::vector<std::atomic<int>> calls(count), busy(4);
    pool.ParallelFor(count, [&](int64_t index, int thread) {
      EXPECT_EQ(busy[thread].fetch_add(1), 0);
      calls[index].fetch_add(1);
      busy[thread].fetch_sub(1);
    });
    for (const auto& call : calls) EXPECT_EQ(call.load(), 1);
  }
}

TEST(ThreadPool, ExceptionsReachTheCallerAndThePoolGoesOn) {
  ThreadPool pool(3);
  EXPECT_THROW(pool.ParallelFor(100,
                                [](int64_t index, int) {
                                  if (index == 7) throw std::runtime_error("seven");
                                }),
               std::runtime_error);
  std::atomic<int> sum{0};
  pool.ParallelFor(10, [&](int64_t index, int) { sum += static_cast<int>(index); });
  EXPECT_EQ(sum.load(), 45);
}

}  // namespace
}  // namespace haq
