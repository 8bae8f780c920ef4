#include "server/jobs/queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

#include "testing.h"

namespace haq::server::jobs {
namespace {

using testing::HasSubstr;

class QueueTest : public testing::Test {
 protected:
  QueueTest() {
    options_.data_dir = folder_.path() / "data";
    options_.clock = &clock_;
    options_.lease_check_period_ms = 0;
    options_.queue.max_queued = 5;
    options_.queue.max_events_per_job = 50;
    options_.queue.max_checkpoint_bytes = 100;
    options_.job_listener = &listener_;
    Open();
    test::PushModel(*service_);
    test::PushDataset(*service_, "cal", 1);
    test::PushDataset(*service_, "eval", 2);
  }
  void Open() {
    service_.reset();
    auto service = api::Service::Open(options_);
    ASSERT_TRUE(service.ok()) << service.status().ToString();
    service_ = *std::move(service);
  }
  Queue& queue() { return service_->queue(); }

  int64_t Create() {
    const auto job = service_->calibration_jobs().Create(test::JobRequest());
    EXPECT_TRUE(job.ok()) << job.status().ToString();
    return std::stoll(job->name().substr(5));
  }
  haq::v1::Job Get(int64_t number) {
    haq::v1::GetJobRequest request;
    request.set_name(JobName(number));
    return *service_->calibration_jobs().Get(request);
  }
  Lease Acquire(const std::string& worker, bool local = true) {
    const auto leased = queue().Acquire(worker, local);
    EXPECT_TRUE(leased.ok() && *leased);
    return leased.ok() && *leased ? (*leased)->lease : Lease{};
  }
  static haq::v1::JobEvent Calibrated(int64_t done) {
    haq::v1::JobEvent event;
    event.mutable_progress()->set_phase("calibrate");
    event.mutable_progress()->set_done(done);
    event.mutable_progress()->set_total(6);
    return event;
  }

  test::TempFolder folder_;
  test::FakeClock clock_;
  test::RecordingJobListener listener_;
  api::ServiceOptions options_;
  std::unique_ptr<api::Service> service_;
};

TEST_F(QueueTest, ACrashFailsTheJobAndNothingElse) {
  const int64_t crashing = Create(), other = Create(), waiting = Create();
  ASSERT_TRUE(queue().Report(Acquire("embedded-0-1"), {Calibrated(3)}).ok());
  Acquire("embedded-1-1");
  ASSERT_TRUE(queue().ReleaseWorker("embedded-0-1", {SIGABRT, 0}).ok());
  EXPECT_EQ(Get(crashing).state(), haq::v1::FAILED);
  EXPECT_EQ(Get(crashing).error_code(), "INTERNAL");
  EXPECT_EQ(Get(crashing).error(),
            "the worker crashed (signal 6, Aborted) while it was at: calibrate (3 of 6 done)");
  EXPECT_EQ(Get(other).state(), haq::v1::RUNNING);
  EXPECT_EQ(Get(waiting).state(), haq::v1::QUEUED);
}

TEST_F(QueueTest, AKillOrAnExitPutsTheJobBack) {
  const int64_t job = Create();
  const ProcessExit exits[] = {{SIGKILL, 0}, {0, 1}};
  for (const ProcessExit& exit : exits) {
    const Lease lease = Acquire("w");
    ASSERT_TRUE(queue().SaveCheckpoint(lease, std::vector<uint8_t>{1, 2}).ok());
    ASSERT_TRUE(queue().ReleaseWorker("w", exit).ok());
    EXPECT_EQ(Get(job).state(), haq::v1::QUEUED);
  }
  const auto third = queue().Acquire("w", true);
  ASSERT_TRUE(third.ok() && *third);
  EXPECT_EQ((*third)->checkpoint, "\x01\x02");
  ASSERT_TRUE(queue().ReleaseWorker("w", {SIGKILL, 0}).ok());
  EXPECT_EQ(Get(job).state(), haq::v1::FAILED);
  EXPECT_EQ(Get(job).error_code(), "UNAVAILABLE");
  EXPECT_THAT(Get(job).error(), HasSubstr("was killed (signal 9, Killed)"));
}

TEST_F(QueueTest, ALimitFailsTheJobAtOnceAndIsNamed) {
  const int64_t job = Create(), other = Create();
  Acquire("w");
  ASSERT_TRUE(queue().ReleaseWorker("w", {SIGXCPU, 0, "its limit of 5 s of CPU time"}).ok());
  EXPECT_EQ(Get(job).state(), haq::v1::FAILED);
  EXPECT_EQ(Get(job).error_code(), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(Get(job).attempt(), 1);
  EXPECT_THAT(Get(job).error(), HasSubstr("was ended by its limit of 5 s of CPU time"));
  EXPECT_EQ(Acquire("w").job, other) << "the others go on";
}

TEST_F(QueueTest, AnAttemptThatTakesTooLongFails) {
  options_.queue.max_job_seconds = 100;
  Open();
  const int64_t job = Create();
  Lease lease = Acquire("slow");
  ASSERT_TRUE(queue().ExpireLeases().ok());
  const auto pass = [&](int64_t seconds) {
    for (; seconds > 0; seconds -= 10) {
      clock_.AdvanceMs(10'000);
      ASSERT_TRUE(queue().Report(lease, {}).ok());
    }
  };
  pass(90);
  EXPECT_TRUE(queue().ExpireLeases()->empty());
  // A new attempt starts from zero.
  ASSERT_TRUE(queue().ReleaseWorker("slow", {SIGKILL, 0}).ok());
  lease = Acquire("slower");
  EXPECT_TRUE(queue().ExpireLeases()->empty());
  pass(100);
  EXPECT_TRUE(queue().ExpireLeases()->empty());
  pass(10);
  EXPECT_THAT(*queue().ExpireLeases(), testing::ElementsAre("slower"));
  EXPECT_EQ(Get(job).state(), haq::v1::FAILED);
  EXPECT_EQ(Get(job).error_code(), "DEADLINE_EXCEEDED");
  EXPECT_THAT(Get(job).error(), HasSubstr("more than 100 s (--max-job-seconds)"));
}

TEST_F(QueueTest, LocalWorkersThatLostTheirLeaseAreNamed) {
  Create();
  Create();
  Acquire("here");
  Acquire("far", /*local=*/false);
  clock_.AdvanceMs(31'000);
  EXPECT_THAT(*queue().ExpireLeases(), testing::ElementsAre("here"));
}

TEST_F(QueueTest, TheOnlyWorkerNeedsNoName) {
  const int64_t job = Create();
  Acquire("whatever it calls itself");
  ASSERT_TRUE(queue().ReleaseWorker("embedded-0-1", {SIGKILL, 0}).ok());
  EXPECT_EQ(Get(job).state(), haq::v1::RUNNING);
  ASSERT_TRUE(queue().ReleaseWorker("embedded-0-1", {SIGKILL, 0}, true).ok());
  EXPECT_EQ(Get(job).state(), haq::v1::QUEUED);
}

TEST_F(QueueTest, EverySignalIsACrashOrAKill) {
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE}) {
    EXPECT_TRUE((ProcessExit{signal, 0}).Crashed()) << signal;
  }
  for (const int signal : {SIGKILL, SIGTERM, SIGHUP, SIGXCPU}) {
    EXPECT_FALSE((ProcessExit{signal, 0}).Crashed()) << signal;
  }
  EXPECT_FALSE((ProcessExit{0, 6}).Crashed());
}

TEST_F(QueueTest, ACancelledJobIsNotTriedAgain) {
  const int64_t job = Create();
  Acquire("w");
  ASSERT_TRUE(queue().Cancel(job).ok());
  ASSERT_TRUE(queue().Cancel(job).ok()) << "asking twice is fine";
  EXPECT_EQ(Get(job).last_sequence(), 3) << "and is told once";
  ASSERT_TRUE(queue().ReleaseWorker("w", {SIGSEGV, 0}).ok());
  EXPECT_EQ(Get(job).state(), haq::v1::CANCELLED);
  EXPECT_EQ(queue().Cancel(job).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(queue().Cancel(99).status().code(), StatusCode::kNotFound);
}

TEST_F(QueueTest, RemoteWorkersKeepTheirLeaseOverARestart) {
  const int64_t local = Create(), remote = Create();
  Acquire("embedded-0-1", true);
  const Lease lease = Acquire("far away", false);
  Open();
  EXPECT_EQ(Get(local).state(), haq::v1::QUEUED);
  EXPECT_EQ(Get(remote).state(), haq::v1::RUNNING);
  EXPECT_TRUE(queue().Report(lease, {}).ok());
}

TEST_F(QueueTest, TheOldestJobComesFirst) {
  const int64_t first = Create(), second = Create();
  const Lease lease = Acquire("a");
  EXPECT_EQ(lease.job, first);
  EXPECT_EQ(Acquire("b").job, second);
  ASSERT_TRUE(queue().GiveBack(lease).ok());
  Create();
  EXPECT_EQ(Acquire("c").job, first) << "what came back keeps its place";
}

// Cannot come about through the API; a store that somebody edited must not stop the queue.
TEST_F(QueueTest, AJobWhoseInputsAreGoneDoesNotBlockTheNext) {
  const int64_t broken = Create(), good = Create();
  ASSERT_TRUE(queue()
                  .Transact([&](store::Transaction& transaction, Effects&) -> Status {
                    store::JobRecord job = *transaction.FindJob(broken);
                    job.evaluation_dataset = "gone";
                    transaction.UpdateJob(job);
                    return {};
                  })
                  .ok());
  EXPECT_EQ(Acquire("w").job, good);
  EXPECT_EQ(Get(broken).state(), haq::v1::FAILED);
  EXPECT_EQ(Get(broken).error_code(), "INTERNAL");
}

TEST_F(QueueTest, Limits) {
  for (int i = 0; i < 5; ++i) Create();
  const auto refused = service_->calibration_jobs().Create(test::JobRequest());
  EXPECT_EQ(refused.status().code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(refused.status().message(), HasSubstr("5 jobs are queued"));
  const Lease lease = Acquire("w");
  const Status large = queue().SaveCheckpoint(lease, std::vector<uint8_t>(101));
  EXPECT_EQ(large.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(large.message(), HasSubstr("at most 100"));
  EXPECT_EQ(queue().Report(lease, std::vector(49, Calibrated(1))).status().code(),
            StatusCode::kResourceExhausted);
  EXPECT_TRUE(queue().Report(lease, std::vector(48, Calibrated(1))).ok());
}

TEST_F(QueueTest, ReportsMustBeJson) {
  Create();
  const Status status = queue().Complete(Acquire("w"), std::string(64, 'a'), "{not json").status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.fields().front().field, "report_json");
}

TEST_F(QueueTest, ImagesAreCountedOnce) {
  Create();
  Lease lease = Acquire("w");
  ASSERT_TRUE(queue().Report(lease, {Calibrated(2), Calibrated(4)}).ok());
  ASSERT_TRUE(queue().Fail(lease, Unavailable("again"), true).ok());
  lease = Acquire("w");
  ASSERT_TRUE(queue().Report(lease, {Calibrated(3), Calibrated(6)}).ok());
  EXPECT_EQ(listener_.images(), 6);
}

TEST_F(QueueTest, CheckpointsReplaceEachOther) {
  Create();
  const Lease lease = Acquire("w");
  for (uint8_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(queue().SaveCheckpoint(lease, std::vector<uint8_t>{i}).ok());
  }
  const auto folder = service_->data_folder().checkpoints();
  const auto count = [&] { return std::distance(std::filesystem::directory_iterator(folder), {}); };
  EXPECT_EQ(count(), 1);
  // What a crash may leave behind is gone after the next start; what counts stays.
  std::filesystem::copy(std::filesystem::directory_iterator(folder)->path(), folder / "stale");
  Open();
  EXPECT_EQ(count(), 1);
  const auto leased = queue().Acquire("w", true);
  EXPECT_EQ((*leased)->checkpoint, "\x02");
}

TEST_F(QueueTest, WithoutItsCheckpointAJobStartsFromTheBeginning) {
  Create();
  ASSERT_TRUE(queue().SaveCheckpoint(Acquire("w"), std::vector<uint8_t>{1}).ok());
  ASSERT_TRUE(queue().ReleaseLocal("test").ok());
  for (const auto& file :
       std::filesystem::directory_iterator(service_->data_folder().checkpoints())) {
    std::filesystem::remove(file);
  }
  const auto leased = queue().Acquire("w", true);
  ASSERT_TRUE(leased.ok() && *leased);
  EXPECT_TRUE((*leased)->checkpoint.empty());
}

TEST_F(QueueTest, ClosingWakesAndRefuses) {
  int queued = 0, events = 0;
  const Subscription a = queue().OnQueued([&] { ++queued; });
  const Subscription b = queue().OnEvents(1, [&] { ++events; });
  Create();
  EXPECT_EQ(queued, 1);
  EXPECT_EQ(events, 1);
  queue().Close();
  EXPECT_EQ(queued, 2);
  EXPECT_EQ(events, 2);
  EXPECT_EQ(queue().Acquire("w", true).status().code(), StatusCode::kUnavailable);
}

TEST(Notifier, NothingRunsAfterTheEndOfASubscription) {
  Notifier notifier;
  std::atomic<bool> ended{false};
  std::atomic<int> calls{0};
  std::atomic<bool> stop{false};
  std::thread thread([&] {
    while (!stop) notifier.Notify(1);
  });
  for (int i = 0; i < 200; ++i) {
    auto alive = std::make_shared<std::atomic<bool>>(true);
    {
      const Subscription subscription = notifier.Subscribe(1, [&, alive] {
        ++calls;
        if (!*alive) ended = true;
      });
      const int before = calls;
      while (calls == before) std::this_thread::yield();
    }
    *alive = false;
  }
  stop = true;
  thread.join();
  EXPECT_FALSE(ended);
}

TEST(Notifier, TopicsAreApart) {
  Notifier notifier;
  int one = 0, two = 0;
  Subscription a = notifier.Subscribe(1, [&] { ++one; });
  const Subscription b = notifier.Subscribe(2, [&] { ++two; });
  notifier.Notify(1);
  a = Subscription();
  notifier.Notify(1);
  notifier.NotifyAll();
  EXPECT_EQ(one, 1);
  EXPECT_EQ(two, 1);
}

TEST_F(QueueTest, TellsHowLongPhasesTookAndHowFastCalibrationGoes) {
  const auto progress = [](const std::string& phase, double images_per_second) {
    haq::v1::JobEvent event;
    event.mutable_progress()->set_phase(phase);
    event.mutable_progress()->set_images_per_second(images_per_second);
    return event;
  };
  const int64_t job = Create();
  const Lease lease = Acquire("w");
  const auto report = [&](std::vector<haq::v1::JobEvent> events) {
    ASSERT_TRUE(queue().Report(lease, events).ok());
    clock_.AdvanceMs(2'000);
  };
  report({progress("import", 0)});
  report({progress("calibrate", 100)});
  report({progress("calibrate", 200)});
  EXPECT_THAT(listener_.phases(), testing::ElementsAre("import 2"));
  report({progress("lower", 0), progress("evaluate", 50)});
  EXPECT_THAT(listener_.phases(), testing::ElementsAre("import 2", "calibrate 4", "lower 0"));
  const std::string name = JobName(job);
  EXPECT_THAT(listener_.speeds(), testing::ElementsAre(name + " 100", name + " 200", name + " 0"));
  // The worker dies: the phase of this attempt is over, and time that nobody works is none's.
  ASSERT_TRUE(queue().ReleaseWorker("w", {SIGKILL, 0}).ok());
  EXPECT_THAT(listener_.phases(),
              testing::ElementsAre("import 2", "calibrate 4", "lower 0", "evaluate 2"));
  clock_.AdvanceMs(60'000);
  const Lease second = Acquire("w");
  ASSERT_TRUE(queue().Report(second, {progress("calibrate", 300)}).ok());
  clock_.AdvanceMs(1'000);
  ASSERT_TRUE(queue().Fail(second, InternalError("x"), false).ok());
  EXPECT_EQ(listener_.phases().back(), "calibrate 1");
  EXPECT_EQ(listener_.speeds().back(), name + " 0");
}

}  // namespace
}  // namespace haq::server::jobs
