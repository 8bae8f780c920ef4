#include <chrono>
#include <thread>

#include "rpc_fixture.h"

namespace haq::test {
namespace {

class WatchTest : public RpcTest {
 protected:
  void SetUp() override {
    PushInputs();
    job_ = CreateJob().name();
  }

  // Brings the job to its end in many steps.
  void Work(int reports) {
    const pb::Lease lease = Lease().lease();
    for (int i = 1; i <= reports; ++i) {
      ASSERT_TRUE(Report(lease, {Progress("calibrate", i, reports)}).ok());
    }
    ASSERT_TRUE(Fail(lease, "INTERNAL", "the end", false).ok());
  }

  static void ExpectAllFrom(const std::vector<haq::v1::JobEvent>& events, int64_t from,
                            int64_t to) {
    ASSERT_EQ(static_cast<int64_t>(events.size()), to - from + 1);
    for (const auto& event : events) EXPECT_EQ(event.sequence(), from++);
  }

  std::string job_;
};

TEST_F(WatchTest, EveryEventOnceInOrderWhileTheyCome) {
  std::vector<std::vector<haq::v1::JobEvent>> seen(4);
  std::vector<std::thread> watchers;
  for (auto& events : seen) {
    watchers.emplace_back([this, &events] { events = Watch(job_, 0); });
  }
  Work(100);
  for (std::thread& watcher : watchers) watcher.join();
  for (const auto& events : seen) {
    ExpectAllFrom(events, 1, 103);
    EXPECT_EQ(events.back().state_change().state(), haq::v1::FAILED);
    EXPECT_EQ(events.back().state_change().reason(), "the end");
  }
}

TEST_F(WatchTest, ContinuesWhereAConnectionBroke) {
  std::vector<haq::v1::JobEvent> events;
  std::thread watcher([&] {
    // Breaks off after every seventh event until the job has ended.
    while (events.empty() || events.back().state_change().state() != haq::v1::FAILED) {
      haq::v1::WatchJobRequest request;
      request.set_name(job_);
      request.set_from_sequence(events.empty() ? 0 : events.back().sequence() + 1);
      grpc::ClientContext context;
      auto reader = jobs_->WatchJob(&context, request);
      haq::v1::JobEvent event;
      for (int i = 0; i < 7 && reader->Read(&event); ++i) events.push_back(event);
      context.TryCancel();
      reader->Finish();
    }
  });
  Work(50);
  watcher.join();
  ExpectAllFrom(events, 1, 53);
}

TEST_F(WatchTest, MoreEventsThanAreLoadedAtOnce) {
  Work(900);
  ExpectAllFrom(Watch(job_, 1), 1, 903);
  ExpectAllFrom(Watch(job_, 257), 257, 903);
}

TEST_F(WatchTest, AfterTheLastEventThereIsTheEnd) {
  Work(1);
  EXPECT_EQ(Watch(job_, 4).size(), 1u);
  EXPECT_TRUE(Watch(job_, 5).empty());
  EXPECT_TRUE(Watch(job_, 100).empty());
}

TEST_F(WatchTest, WrongNamesAndNumbers) {
  grpc::Status status;
  Watch("jobs/77", 1, &status);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "jobs/77 does not exist");
  Watch("job/1", 1, &status);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  Watch(job_, -1, &status);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "from_sequence: must not be negative, found -1");
}

TEST_F(WatchTest, ManyWatchersHoldNoThreads) {
  constexpr int kWatchers = 100;  // the server has 4 + 2 threads for its work
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<haq::v1::JobEvent>>> readers;
  haq::v1::WatchJobRequest request;
  request.set_name(job_);
  for (int i = 0; i < kWatchers; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    readers.push_back(jobs_->WatchJob(contexts.back().get(), request));
    haq::v1::JobEvent event;
    ASSERT_TRUE(readers.back()->Read(&event));
  }
  // Others are still served.
  EXPECT_EQ(GetJob(job_).state(), haq::v1::QUEUED);
  Work(1);
  for (auto& reader : readers) {
    haq::v1::JobEvent event;
    int count = 1;
    while (reader->Read(&event)) ++count;
    EXPECT_EQ(count, 4);
    EXPECT_TRUE(reader->Finish().ok());
  }
}

TEST_F(WatchTest, AStoppingServerSaysSo) {
  grpc::Status status;
  std::thread watcher([&] { Watch(job_, 2, &status); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const auto begin = std::chrono::steady_clock::now();
  service_->BeginShutdown();
  watcher.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(status.error_message(), "the server is shutting down; watch again from event 2");
  server_->Shutdown();
  // Well before the time that calls are given: nothing was left to cancel.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(1900));
}

}  // namespace
}  // namespace haq::test
