#include "server/api/executor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace haq::server::api {
namespace {

TEST(Executor, RunsWhatWasSubmittedBeforeItEnds) {
  std::atomic<int> done{0};
  {
    Executor executor(3, 1000);
    for (int i = 0; i < 500; ++i) ASSERT_TRUE(executor.TrySubmit([&] { ++done; }));
  }
  EXPECT_EQ(done, 500);
}

TEST(Executor, RefusesWhenTooManyWait) {
  std::promise<void> release, running;
  Executor executor(1, 2);
  executor.Submit([&] {
    running.set_value();
    release.get_future().wait();
  });
  running.get_future().wait();
  std::atomic<int> done{0};
  EXPECT_TRUE(executor.TrySubmit([&] { ++done; }));
  EXPECT_TRUE(executor.TrySubmit([&] { ++done; }));
  EXPECT_FALSE(executor.TrySubmit([&] { ++done; }));
  executor.Submit([&] { ++done; });  // of a call that was accepted
  release.set_value();
  std::promise<void> last;
  executor.Submit([&] { last.set_value(); });
  last.get_future().wait();
  EXPECT_EQ(done, 3);
}

}  // namespace
}  // namespace haq::server::api
