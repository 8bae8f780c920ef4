#include "server/serving/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <semaphore>

#include "tests/support/seed.h"

namespace haq::server::serving {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Requests of which only the model and the version (here: a name of the request) matter.
class SchedulerTest : public ::testing::Test {
 protected:
  // Batches of the model "gate" block until Open.
  void Start(const Scheduler::Options& options) {
    scheduler_ = std::make_unique<Scheduler>(
        options, [this](const std::string& model, std::vector<Call> calls) {
          if (model == "gate") {
            entered_.release();
            open_.acquire();
          }
          std::string names;
          for (const Call& call : calls) names += call.request->version;
          {
            const std::lock_guard lock(mutex_);
            batches_.push_back(names);
          }
          for (const Call& call : calls) call.done(Response());
        });
  }
  void CloseGate() {
    Submit("gate", "G");
    entered_.acquire();
  }
  void Open() { open_.release(); }

  Result<Scheduler::Ticket> TrySubmit(const std::string& model, const std::string& name,
                                      const BatchPolicy::Item& item = {}) {
    Request& request = requests_.emplace_back();
    request.model = model;
    request.version = name;
    Call call{&request,
              [this, name](const Result<Response>& r) {
                const std::lock_guard lock(mutex_);
                answers_[name] = r.status();
              },
              Scheduler::Clock::now()};
    return scheduler_->Submit(model, item, call);
  }
  Scheduler::Ticket Submit(const std::string& model, const std::string& name,
                           const BatchPolicy::Item& item = {}) {
    const auto ticket = TrySubmit(model, name, item);
    EXPECT_TRUE(ticket.ok()) << ticket.status().ToString();
    return ticket.ok() ? *ticket : 0;
  }
  std::optional<Status> Answer(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto found = answers_.find(name);
    return found == answers_.end() ? std::nullopt : std::optional(found->second);
  }
  Status WaitForAnswer(const std::string& name) {
    for (;;) {
      if (const auto status = Answer(name)) return *status;
      std::this_thread::sleep_for(milliseconds(1));
    }
  }

  std::deque<Request> requests_;
  std::counting_semaphore<> entered_{0}, open_{0};
  std::mutex mutex_;
  std::vector<std::string> batches_;
  std::map<std::string, Status> answers_;
  std::unique_ptr<Scheduler> scheduler_;
};

TEST_F(SchedulerTest, WhatWaitsForTheThreadRunsTogether) {
  Start({.threads = 1, .policy = {.max_batch = 2}});
  CloseGate();
  for (const char* name : {"a", "b", "c"}) Submit("m", name);
  Open();
  scheduler_->Stop();
  EXPECT_THAT(batches_, ElementsAre("G", "ab", "c"));
}

TEST_F(SchedulerTest, ABusyModelLetsOthersPass) {
  Start({.threads = 2});
  CloseGate();
  Submit("gate", "second");
  Submit("m", "a");
  EXPECT_TRUE(WaitForAnswer("a").ok());
  EXPECT_FALSE(Answer("second"));
  Open();
  Open();
  scheduler_->Stop();
  EXPECT_TRUE(Answer("second"));
}

TEST_F(SchedulerTest, TheDelayIsWaitedForByTheClock) {
  Start({.threads = 2, .policy = {.max_batch = 3, .max_delay = milliseconds(30)}});
  const auto start = Scheduler::Clock::now();
  Submit("m", "a");
  Submit("m", "b");
  EXPECT_TRUE(WaitForAnswer("b").ok());
  EXPECT_GE(Scheduler::Clock::now() - start, milliseconds(30));
  scheduler_->Stop();
  EXPECT_THAT(batches_, ElementsAre("ab"));
}

TEST_F(SchedulerTest, WhatIsLateIsAnsweredWhileItWaits) {
  Start({.threads = 2});
  scheduler_->Hold("m");
  Submit("m", "a", {.deadline = Scheduler::Clock::now() + milliseconds(20)});
  const Status late = WaitForAnswer("a");
  EXPECT_EQ(late.code(), StatusCode::kDeadlineExceeded);
  EXPECT_THAT(late.message(), HasSubstr("before the request could start"));
  EXPECT_EQ(
      TrySubmit("m", "b", {.deadline = Scheduler::Clock::now() - milliseconds(1)}).status().code(),
      StatusCode::kDeadlineExceeded);
}

TEST_F(SchedulerTest, ACancelledCallIsAnsweredAtOnce) {
  Start({.threads = 1});
  CloseGate();
  const auto ticket = Submit("m", "a");
  scheduler_->Cancel(ticket);
  EXPECT_EQ(Answer("a")->code(), StatusCode::kCancelled);
  scheduler_->Cancel(ticket);  // does nothing
  scheduler_->Cancel(0);
  Open();
  scheduler_->Stop();
  EXPECT_THAT(batches_, ElementsAre("G"));
}

TEST_F(SchedulerTest, AHeldModelWaitsForItsRelease) {
  Start({.threads = 1});
  scheduler_->Hold("m");
  Submit("m", "a");
  Submit("other", "b");
  EXPECT_TRUE(WaitForAnswer("b").ok());
  EXPECT_FALSE(Answer("a"));
  scheduler_->Release("m");
  EXPECT_TRUE(WaitForAnswer("a").ok());
}

TEST_F(SchedulerTest, AFullQueueRefusesAndSaysHowManyWait) {
  std::vector<size_t> lengths;
  Start({.threads = 1,
         .policy = {.max_queue = 2},
         .on_queue = [&](const std::string& model, size_t waiting) {
           if (model == "m") lengths.push_back(waiting);
         }});
  CloseGate();
  Submit("m", "a");
  const auto ticket = Submit("m", "b");
  EXPECT_EQ(TrySubmit("m", "c").status().code(), StatusCode::kResourceExhausted);
  EXPECT_FALSE(Answer("c"));
  scheduler_->Cancel(ticket);
  Open();
  scheduler_->Stop();
  EXPECT_THAT(lengths, ElementsAre(1, 2, 1, 0));
}

TEST_F(SchedulerTest, StopRunsWhatWaitsAndRefusesMore) {
  Start({.threads = 2, .policy = {.max_batch = 9, .max_delay = milliseconds(60'000)}});
  scheduler_->Hold("held");
  Submit("held", "a");
  Submit("m", "b");
  scheduler_->Stop();
  EXPECT_TRUE(Answer("a")->ok());
  EXPECT_TRUE(Answer("b")->ok());
  EXPECT_EQ(TrySubmit("m", "c").status().code(), StatusCode::kUnavailable);
}

TEST(SchedulerStressTest, EveryCallIsAnsweredOnceAndNoModelRunsMoreThanItMay) {
  constexpr int kCalls = 4000;
  std::mt19937_64 random(test::Seed());
  std::array<std::atomic<int>, 3> running{};
  std::vector<std::atomic<int>> answers(kCalls);
  std::atomic<int> over = 0;
  std::vector<Request> requests(kCalls);
  Scheduler scheduler(
      {.threads = 4, .policy = {.max_batch = 3, .max_running = 2, .max_queue = kCalls}},
      [&](const std::string& model, const std::vector<Call>& calls) {
        auto& now = running[static_cast<size_t>(model[0] - '0')];
        over += ++now > 2;
        std::this_thread::yield();
        --now;
        for (const Call& call : calls) call.done(Response{});
      });
  for (int i = 0; i < kCalls; ++i) {
    requests[i].model = std::to_string(i % 3);
    Call call{&requests[i], [&answers, i](const Result<Response>&) { ++answers[i]; },
              Scheduler::Clock::now()};
    BatchPolicy::Item item;
    if (random() % 3 == 0) {
      item.deadline = Scheduler::Clock::now() + std::chrono::microseconds(random() % 300);
    }
    const auto ticket = scheduler.Submit(requests[i].model, item, call);
    if (!ticket.ok()) call.done(ticket.status());
    if (ticket.ok() && random() % 3 == 0) scheduler.Cancel(*ticket);
  }
  scheduler.Stop();
  for (const auto& count : answers) ASSERT_EQ(count, 1);
  EXPECT_EQ(over, 0);
}

}  // namespace
}  // namespace haq::server::serving
