#include "server/serving/batch_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "tests/support/seed.h"

namespace haq::server::serving {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Id = BatchPolicy::Id;
using Item = BatchPolicy::Item;
using Time = BatchPolicy::Time;

Time At(int ms) { return Time(milliseconds(ms)); }

Id Submit(BatchPolicy& policy, const std::string& model, const Item& item, Time now = At(0)) {
  const auto id = policy.Submit(model, item, now);
  EXPECT_TRUE(id.ok()) << id.status().ToString();
  return id.ok() ? *id : 0;
}

TEST(BatchPolicyTest, RequestsAreJoinedWhileTheyFit) {
  BatchPolicy policy({.max_batch = 8});
  const Id a = Submit(policy, "m", {.samples = 3}), b = Submit(policy, "m", {.samples = 5});
  const Id c = Submit(policy, "m", {.samples = 1});
  EXPECT_THAT(policy.Next(At(0)).batch.items, ElementsAre(a, b));
  EXPECT_EQ(policy.waiting("m"), 1u);
  EXPECT_THAT(policy.Next(At(0)).batch.items, IsEmpty()) << "one batch of a model runs at a time";
  policy.Finished({"m", {a, b}, {}}, milliseconds(1));
  EXPECT_THAT(policy.Next(At(0)).batch.items, ElementsAre(c));
}

TEST(BatchPolicyTest, ALargeRequestRunsAloneAndIsNotOvertaken) {
  BatchPolicy policy({.max_batch = 8, .max_running = 9});
  const Id a = Submit(policy, "m", {.samples = 2}), large = Submit(policy, "m", {.samples = 64});
  const Id b = Submit(policy, "m", {.samples = 2});
  EXPECT_THAT(policy.Next(At(0)).batch.items, ElementsAre(a));
  EXPECT_THAT(policy.Next(At(0)).batch.items, ElementsAre(large));
  EXPECT_THAT(policy.Next(At(0)).batch.items, ElementsAre(b));
}

TEST(BatchPolicyTest, WaitsForOthersUntilTheDelayIsOver) {
  BatchPolicy policy({.max_batch = 4, .max_delay = milliseconds(10)});
  const Id a = Submit(policy, "m", {}, At(0));
  auto decision = policy.Next(At(3));
  EXPECT_THAT(decision.batch.items, IsEmpty());
  EXPECT_EQ(decision.wake_at, At(10));
  const Id b = Submit(policy, "m", {}, At(9));
  EXPECT_EQ(policy.Next(At(9)).wake_at, At(10)) << "the first one's time counts";
  EXPECT_THAT(policy.Next(At(10)).batch.items, ElementsAre(a, b));
}

TEST(BatchPolicyTest, AFullBatchDoesNotWait) {
  BatchPolicy policy({.max_batch = 4, .max_delay = milliseconds(10)});
  const Id a = Submit(policy, "m", {.samples = 2});
  EXPECT_THAT(policy.Next(At(0)).batch.items, IsEmpty());
  const Id b = Submit(policy, "m", {.samples = 2});
  EXPECT_THAT(policy.Next(At(0)).batch.items, ElementsAre(a, b));
}

TEST(BatchPolicyTest, WaitingForOthersTakesHalfOfTheTimeToTheDeadline) {
  BatchPolicy policy({.max_batch = 4, .max_delay = milliseconds(100)});
  const Id a = Submit(policy, "m", {.deadline = At(10)});
  EXPECT_EQ(policy.Next(At(1)).wake_at, At(5));
  EXPECT_THAT(policy.Next(At(5)).batch.items, ElementsAre(a));
}

TEST(BatchPolicyTest, HigherPrioritiesGoFirst) {
  BatchPolicy policy({.max_batch = 2, .max_running = 9});
  const Id low = Submit(policy, "m", {.priority = 3}), low2 = Submit(policy, "m", {.priority = 3});
  const Id middle = Submit(policy, "m", {.priority = 2});
  const Id high = Submit(policy, "m", {.priority = 1});
  EXPECT_THAT(policy.Next(At(0)).batch.items, ElementsAre(high, middle));
  EXPECT_THAT(policy.Next(At(0)).batch.items, ElementsAre(low, low2));
}

TEST(BatchPolicyTest, WhatIsLateIsNotStarted) {
  BatchPolicy policy({.max_batch = 8});
  EXPECT_EQ(policy.Submit("m", {.deadline = At(5)}, At(5)).status().code(),
            StatusCode::kDeadlineExceeded);
  const Id a = Submit(policy, "m", {.deadline = At(10)}), b = Submit(policy, "m", {});
  policy.Hold("m");
  EXPECT_EQ(policy.Next(At(9)).wake_at, At(10));
  const auto decision = policy.Next(At(10));
  EXPECT_THAT(decision.expired, ElementsAre(a));
  policy.Release("m");
  EXPECT_THAT(policy.Next(At(11)).batch.items, ElementsAre(b));
}

TEST(BatchPolicyTest, CancelledRequestsLeaveTheirPlaceToOthers) {
  BatchPolicy policy({.max_queue = 1});
  const Id a = Submit(policy, "m", {.deadline = At(10)});
  EXPECT_FALSE(policy.Submit("m", {}, At(0)).ok());
  EXPECT_TRUE(policy.Cancel(a));
  EXPECT_FALSE(policy.Cancel(a));
  const Id b = Submit(policy, "m", {});
  const auto decision = policy.Next(At(20));
  EXPECT_THAT(decision.batch.items, ElementsAre(b));
  EXPECT_THAT(decision.expired, IsEmpty());
  EXPECT_FALSE(policy.Cancel(b)) << "it runs";
}

TEST(BatchPolicyTest, EveryModelHasItsOwnQueueLimit) {
  BatchPolicy policy({.max_queue = 2});
  Submit(policy, "a", {}), Submit(policy, "a", {});
  const Status full = policy.Submit("a", {}, At(0)).status();
  EXPECT_EQ(full.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(full.message(),
            "2 requests for model 'a' wait already, which is the limit (--max-queue)");
  Submit(policy, "b", {});
}

TEST(BatchPolicyTest, BytesAreLimitedOverAllModelsButOneRequestAlwaysFits) {
  BatchPolicy policy({.max_queue_bytes = 100});
  const Id large = Submit(policy, "a", {.bytes = 1000});
  EXPECT_EQ(policy.Submit("b", {.bytes = 1}, At(0)).status().code(),
            StatusCode::kResourceExhausted);
  EXPECT_TRUE(policy.Cancel(large));
  Submit(policy, "a", {.bytes = 60});
  const Status full = policy.Submit("b", {.bytes = 41}, At(0)).status();
  EXPECT_THAT(full.message(), HasSubstr("limit of 100 bytes (--max-queue-bytes)"));
  Submit(policy, "b", {.bytes = 40});
}

TEST(BatchPolicyTest, HeldModelsWaitForEveryReleaseAndLetOthersPass) {
  BatchPolicy policy({.max_running = 9});
  policy.Hold("a");
  policy.Hold("a");
  const Id a = Submit(policy, "a", {}), b = Submit(policy, "b", {});
  EXPECT_THAT(policy.Next(At(0)).batch.items, ElementsAre(b));
  policy.Release("a");
  EXPECT_THAT(policy.Next(At(0)).batch.items, IsEmpty());
  policy.Release("a");
  EXPECT_THAT(policy.Next(At(0)).batch.items, ElementsAre(a));
  policy.Release("a");  // one too many does nothing
}

TEST(BatchPolicyTest, DrainingStartsWhatIsHeldOrWaitsForOthers) {
  BatchPolicy policy({.max_batch = 9, .max_delay = milliseconds(100), .max_running = 9});
  policy.Hold("a");
  const Id a = Submit(policy, "a", {}), b = Submit(policy, "b", {});
  EXPECT_THAT(policy.Next(At(0)).batch.items, IsEmpty());
  policy.Drain();
  EXPECT_THAT(policy.Next(At(0)).batch.items, ElementsAre(a));
  EXPECT_THAT(policy.Next(At(0)).batch.items, ElementsAre(b));
}

// One thread runs what the policy says; a model's request costs `cost`. Returns the thread time
// that each model got in one second, when all have as much work as they can send.
std::map<std::string, int> ShareOfASecond(const std::map<std::string, int>& cost_ms,
                                          const std::map<std::string, int>& in_queue) {
  BatchPolicy policy({.max_batch = 1, .max_queue = 1000});
  std::map<std::string, int> got;
  for (int now = 0; now < 1000;) {
    for (const auto& [model, count] : in_queue) {
      while (policy.waiting(model) < static_cast<size_t>(count)) Submit(policy, model, {}, At(now));
    }
    const auto decision = policy.Next(At(now));
    const int cost = cost_ms.at(decision.batch.model);
    now += cost;
    got[decision.batch.model] += cost;
    policy.Finished(decision.batch, milliseconds(cost));
  }
  return got;
}

TEST(BatchPolicyTest, ModelsShareTheThreadsWhateverTheirRequestsCostAndHoweverManyWait) {
  const auto got = ShareOfASecond({{"slow", 20}, {"fast", 1}, {"middle", 5}},
                                  {{"slow", 50}, {"fast", 500}, {"middle", 1}});
  for (const auto& [model, ms] : got) EXPECT_NEAR(ms, 333, 30) << model;
}

TEST(BatchPolicyTest, AModelThatWasIdleHasNothingSavedUp) {
  BatchPolicy policy({.max_batch = 1});
  for (int i = 0; i < 50; ++i) {
    Submit(policy, "busy", {});
    policy.Finished(policy.Next(At(0)).batch, milliseconds(10));
    Submit(policy, "busy", {});  // there is always one more, so that the server is never idle
    policy.Finished(policy.Next(At(0)).batch, milliseconds(10));
    if (i < 49) Submit(policy, "busy", {});
  }
  for (int i = 0; i < 20; ++i) Submit(policy, "late", {}), Submit(policy, "busy", {});
  int late = 0;
  for (int i = 0; i < 20; ++i) {
    const auto batch = policy.Next(At(0)).batch;
    late += batch.model == "late";
    policy.Finished(batch, milliseconds(10));
  }
  EXPECT_NEAR(late, 10, 1);
}

TEST(BatchPolicyTest, ForgetsModelsThatHaveNothingToDo) {
  BatchPolicy policy({});
  for (int i = 0; i < 1000; ++i) {
    const std::string model = "m" + std::to_string(i);
    Submit(policy, model, {});
    if (i % 2 == 0) {
      policy.Finished(policy.Next(At(i)).batch, milliseconds(i % 7));
    } else {
      EXPECT_TRUE(policy.Cancel(Submit(policy, model, {}, At(i))));
      policy.Finished(policy.Next(At(i)).batch, milliseconds(1));
    }
  }
  EXPECT_EQ(policy.models(), 0u);
  EXPECT_TRUE(policy.idle());
}

// Against a plain model of what must hold: nothing is lost or doubled, nothing late starts, limits
// are kept, no runnable request is left while nothing runs.
TEST(BatchPolicyTest, RandomSequencesKeepThePromises) {
  std::mt19937_64 random(test::Seed());
  for (int round = 0; round < 50; ++round) {
    BatchPolicy policy({.max_batch = 6,
                        .max_delay = milliseconds(random() % 4),
                        .max_running = static_cast<int>(1 + random() % 2),
                        .max_queue = 10});
    std::map<Id, Item> waiting;
    std::deque<BatchPolicy::Batch> running;
    int now = 0;
    for (int step = 0; step < 400; ++step) {
      now += static_cast<int>(random() % 2);
      const std::string model(1, static_cast<char>('a' + random() % 3));
      switch (random() % 4) {
        case 0: {
          const Item item{.samples = static_cast<int64_t>(1 + random() % 8),
                          .priority = static_cast<int>(random() % 3),
                          .deadline = random() % 2 ? Time::max() : At(now + 1 + random() % 20)};
          const bool room = policy.waiting(model) < 10;
          const auto id = policy.Submit(model, item, At(now));
          ASSERT_EQ(id.ok(), room);
          if (id.ok()) waiting[*id] = item;
          break;
        }
        case 1:
          if (!waiting.empty()) {
            ASSERT_TRUE(policy.Cancel(waiting.begin()->first));
            waiting.erase(waiting.begin());
          }
          break;
        case 2: {
          const auto decision = policy.Next(At(now));
          for (const Id id : decision.expired) {
            ASSERT_LE(waiting.at(id).deadline, At(now));
            waiting.erase(id);
          }
          int64_t samples = 0;
          for (const Id id : decision.batch.items) {
            ASSERT_GT(waiting.at(id).deadline, At(now));
            samples += waiting.at(id).samples;
            waiting.erase(id);
          }
          ASSERT_TRUE(samples <= 6 || decision.batch.items.size() == 1);
          if (!decision.batch.items.empty()) running.push_back(decision.batch);
          if (decision.batch.items.empty() && running.empty() && !waiting.empty()) {
            ASSERT_LE(decision.wake_at, At(now + 3)) << "it sleeps while something could run";
          }
          break;
        }
        case 3:
          if (!running.empty()) {
            policy.Finished(running.front(), milliseconds(random() % 10));
            running.pop_front();
          }
          break;
      }
      ASSERT_EQ(policy.waiting(), waiting.size());
    }
  }
}

}  // namespace
}  // namespace haq::server::serving
