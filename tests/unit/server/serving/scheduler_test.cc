#include "server/serving/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace haq::server::serving {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Occupies one thread until it is opened.
class Gate {
 public:
  Scheduler::Task Task() {
    return [this] {
      entered_.set_value();
      open_.get_future().wait();
    };
  }
  void WaitUntilEntered() { entered_.get_future().wait(); }
  void Open() { open_.set_value(); }

 private:
  std::promise<void> entered_, open_;
};

TEST(SchedulerTest, RunsTasksInOrder) {
  std::vector<int> order;
  {
    Scheduler scheduler({.threads = 1, .on_queue = {}});
    for (int i = 0; i < 5; ++i) {
      ASSERT_TRUE(scheduler.Submit("m", 1, [&order, i] { order.push_back(i); }).ok());
    }
  }
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 3, 4));
}

TEST(SchedulerTest, ABusyKeyLetsOthersPass) {
  Gate gate;
  std::promise<void> other;
  std::atomic<bool> second = false;
  Scheduler scheduler({.threads = 2, .per_key = 1, .on_queue = {}});
  ASSERT_TRUE(scheduler.Submit("busy", 1, gate.Task()).ok());
  gate.WaitUntilEntered();
  ASSERT_TRUE(scheduler.Submit("busy", 1, [&] { second = true; }).ok());
  ASSERT_TRUE(scheduler.Submit("other", 1, [&] { other.set_value(); }).ok());
  other.get_future().wait();
  EXPECT_FALSE(second);
  gate.Open();
  scheduler.Stop();
  EXPECT_TRUE(second);
}

TEST(SchedulerTest, AHeldKeyWaitsForEveryRelease) {
  std::atomic<bool> ran = false;
  std::promise<void> done;
  Scheduler scheduler({.threads = 1, .on_queue = {}});
  scheduler.Hold("m");
  scheduler.Hold("m");
  ASSERT_TRUE(scheduler
                  .Submit("m", 1,
                          [&] {
                            ran = true;
                            done.set_value();
                          })
                  .ok());
  scheduler.Release("m");
  std::promise<void> other;
  ASSERT_TRUE(scheduler.Submit("other", 1, [&] { other.set_value(); }).ok());
  other.get_future().wait();
  EXPECT_FALSE(ran);
  scheduler.Release("m");
  done.get_future().wait();
  scheduler.Release("m");  // one too many does nothing
}

TEST(SchedulerTest, AFullQueueRefuses) {
  Gate gate;
  std::vector<size_t> lengths;
  Scheduler scheduler({.threads = 1, .max_queue = 2, .on_queue = [&](size_t waiting) {
                         lengths.push_back(waiting);
                       }});
  ASSERT_TRUE(scheduler.Submit("m", 1, gate.Task()).ok());
  gate.WaitUntilEntered();
  EXPECT_TRUE(scheduler.Submit("m", 1, [] {}).ok());
  EXPECT_TRUE(scheduler.Submit("m", 1, [] {}).ok());
  const Status full = scheduler.Submit("m", 1, [] { FAIL(); });
  EXPECT_EQ(full.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(full.message(), AllOf(HasSubstr("2 requests wait"), HasSubstr("--max-queue")));
  gate.Open();
  scheduler.Stop();
  EXPECT_THAT(lengths, ElementsAre(1, 0, 1, 2, 1, 0));
}

TEST(SchedulerTest, BytesThatWaitAreLimitedButOneTaskAlwaysFits) {
  Gate gate;
  Scheduler scheduler({.threads = 1, .max_queue_bytes = 100, .on_queue = {}});
  ASSERT_TRUE(scheduler.Submit("m", 1000, gate.Task()).ok());
  gate.WaitUntilEntered();
  EXPECT_TRUE(scheduler.Submit("m", 60, [] {}).ok());
  const Status full = scheduler.Submit("m", 41, [] { FAIL(); });
  EXPECT_EQ(full.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(full.message(), HasSubstr("100 bytes (--max-queue-bytes)"));
  EXPECT_TRUE(scheduler.Submit("m", 40, [] {}).ok());
  gate.Open();
}

TEST(SchedulerTest, StopRunsWhatWaitsAndRefusesMore) {
  std::atomic<int> ran = 0;
  Scheduler scheduler({.threads = 2, .on_queue = {}});
  scheduler.Hold("held");
  ASSERT_TRUE(scheduler.Submit("held", 1, [&] { ++ran; }).ok());
  ASSERT_TRUE(scheduler.Submit("m", 1, [&] { ++ran; }).ok());
  scheduler.Stop();
  EXPECT_EQ(ran, 2);
  EXPECT_EQ(scheduler.Submit("m", 1, [] {}).code(), StatusCode::kUnavailable);
}

TEST(SchedulerTest, ManyKeysManyThreads) {
  constexpr int kTasks = 400;
  std::array<std::atomic<int>, 3> running{};
  std::atomic<int> ran = 0, over = 0;
  Scheduler scheduler({.threads = 4, .per_key = 2, .max_queue = kTasks, .on_queue = {}});
  for (int i = 0; i < kTasks; ++i) {
    ASSERT_TRUE(scheduler
                    .Submit(std::to_string(i % 3), 1,
                            [&, key = i % 3] {
                              over += ++running[key] > 2;
                              std::this_thread::yield();
                              --running[key];
                              ++ran;
                            })
                    .ok());
  }
  scheduler.Stop();
  EXPECT_EQ(ran, kTasks);
  EXPECT_EQ(over, 0);
}

}  // namespace
}  // namespace haq::server::serving
