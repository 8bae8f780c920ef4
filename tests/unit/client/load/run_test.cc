#include "client/load/run.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace haq::client::load {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Answers requests one after the other, each after `service`; those over `queue` are refused at
// once.
class OneServer : public Transport {
 public:
  OneServer(milliseconds service, size_t queue) : service_(service), queue_(queue) {
    thread_ = std::thread([this] { Serve(); });
  }
  ~OneServer() override {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  int connections() const override { return 4; }
  void Send(int connection, int request, Done done) override {
    const std::lock_guard lock(mutex_);
    most_ = std::max(most_, waiting_.size() + 1);
    per_connection_.at(static_cast<size_t>(connection))++;
    per_request_.at(static_cast<size_t>(request))++;
    waiting_.emplace_back(std::move(done), waiting_.size() >= queue_);
    wake_.notify_all();
  }

  size_t most_waiting() const { return most_; }
  std::vector<int> per_connection_ = std::vector<int>(4), per_request_ = std::vector<int>(3);

 private:
  void Serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return stop_ || !waiting_.empty(); });
      if (stop_) return;
      auto [done, refused] = std::move(waiting_.front());
      lock.unlock();
      if (!refused) std::this_thread::sleep_for(service_);
      lock.lock();
      waiting_.pop_front();
      lock.unlock();
      done(refused ? StatusCode::kResourceExhausted : StatusCode::kOk);
      lock.lock();
    }
  }

  const milliseconds service_;
  const size_t queue_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::pair<Done, bool>> waiting_;
  size_t most_ = 0;
  bool stop_ = false;
  std::thread thread_;
};

TEST(RunTest, AClosedLoopHasSoManyClientsAtATime) {
  OneServer server(milliseconds(2), 100);
  const auto outcome = RunLevel(server, 3, {.clients = 5}, {.warmup = 0.1, .duration = 0.5});
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(server.most_waiting(), 5u);
  EXPECT_EQ(outcome->total(), outcome->ok());
  EXPECT_EQ(outcome->ok(), outcome->ok_in_window);
  EXPECT_EQ(outcome->seconds, 0.5);
  // 2 ms each: never more than 250; five clients wait for one another.
  EXPECT_LE(outcome->ok(), 251);
  EXPECT_GE(outcome->ok(), 50);
  EXPECT_GE(outcome->succeeded.p50, 0.009);
  for (const int count : server.per_connection_) EXPECT_GT(count, 0);
  for (const int count : server.per_request_) EXPECT_GT(count, 0);
}

// The server answers one request in 10 ms and is asked for 200 a second: a generator that waited
// for it would see 10 ms each. Those that were due and had to wait count as long as they waited.
TEST(RunTest, AnOpenLoopDoesNotSpareASlowServer) {
  OneServer server(milliseconds(10), 1'000'000);
  const auto outcome = RunLevel(server, 3, {.rate = 200}, {.warmup = 0, .duration = 0.5});
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->total(), 100);  // all that were due
  EXPECT_EQ(outcome->ok(), 100);
  EXPECT_LE(outcome->ok_in_window, 50);
  EXPECT_GE(outcome->ok_in_window, 10);
  EXPECT_GE(outcome->succeeded.max, 0.4);
  EXPECT_GE(outcome->succeeded.p50, 0.2);
}

TEST(RunTest, RefusalsAreCountedApart) {
  OneServer server(milliseconds(5), 2);
  const auto outcome = RunLevel(server, 3, {.clients = 8}, {.warmup = 0, .duration = 0.3});
  ASSERT_TRUE(outcome.ok());
  EXPECT_GT(outcome->codes.at(StatusCode::kResourceExhausted), 0);
  EXPECT_EQ(outcome->failed.count, outcome->codes.at(StatusCode::kResourceExhausted));
  EXPECT_EQ(outcome->succeeded.count, outcome->codes.at(StatusCode::kOk));
}

TEST(RunTest, WhatWouldBeTooMuchIsNotSent) {
  OneServer server(milliseconds(20), 1'000'000);
  const auto outcome =
      RunLevel(server, 3, {.rate = 1000, .max_outstanding = 4}, {.warmup = 0, .duration = 0.3});
  ASSERT_TRUE(outcome.ok());
  EXPECT_LE(server.most_waiting(), 4u);
  EXPECT_EQ(outcome->not_sent + outcome->total(), 300);
  EXPECT_GT(outcome->not_sent, 200);
}

TEST(RunTest, TheWarmupIsNotCounted) {
  OneServer server(milliseconds(1), 1'000'000);
  const auto outcome = RunLevel(server, 3, {.rate = 100}, {.warmup = 0.5, .duration = 0.2});
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->total(), 20);
  EXPECT_EQ(server.per_request_[0] + server.per_request_[1] + server.per_request_[2], 70);
}

TEST(RunTest, AStopEndsIt) {
  OneServer server(milliseconds(1), 100);
  std::stop_source stop;
  std::thread stopper([&stop] {
    std::this_thread::sleep_for(milliseconds(50));
    stop.request_stop();
  });
  const auto start = Clock::now();
  for (const Level& level : {Level{.clients = 3}, Level{.rate = 100}}) {
    const auto outcome =
        RunLevel(server, 3, level, {.warmup = 0, .duration = 60}, stop.get_token());
    EXPECT_EQ(outcome.status().code(), StatusCode::kCancelled);
  }
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(30));
  stopper.join();
}

}  // namespace
}  // namespace haq::client::load
