// The whole life of a job, with a worker that speaks the protocol by hand.
#include <chrono>
#include <fstream>
#include <thread>

#include "rpc_fixture.h"

namespace haq::test {
namespace {

using server::jobs::JobState;

class WorkerProtocolTest : public RpcTest {};

TEST_F(WorkerProtocolTest, FromTheQueueToTheArtifact) {
  PushInputs();
  const haq::v1::Job job = CreateJob();
  EXPECT_EQ(job.state(), haq::v1::QUEUED);
  EXPECT_EQ(job.spec().method(), "redistribution");
  EXPECT_EQ(job.spec().preset(), "fast");
  EXPECT_FALSE(job.spec().has_equalize()) << "the preset decides";
  EXPECT_EQ(job.spec().scheme(), "hybrid");
  EXPECT_EQ(job.spec().weights(), "per_channel");

  const pb::LeaseJobResponse leased = Lease("worker-1");
  ASSERT_EQ(leased.lease().job(), job.name());
  EXPECT_EQ(leased.attempt(), 1);
  EXPECT_EQ(leased.lease_ms(), 30'000);
  EXPECT_EQ(leased.spec().model(), "models/m");
  EXPECT_EQ(leased.model_format(), "torchscript");
  EXPECT_EQ(leased.preprocess_json(), "{}");
  EXPECT_EQ(std::vector<int64_t>(leased.input_shape().begin(), leased.input_shape().end()),
            (std::vector<int64_t>{3, 8, 8}));
  ASSERT_EQ(leased.calibration_shards_size(), 1);
  ASSERT_EQ(leased.evaluation_shards_size(), 1);
  EXPECT_TRUE(leased.checkpoint().empty());
  EXPECT_EQ(GetJob(job.name()).state(), haq::v1::RUNNING);
  EXPECT_FALSE(Lease().has_lease()) << "the job was given out twice";

  std::string bytes;
  ASSERT_TRUE(ReadBlob(leased.lease(), leased.model().sha256(), 0, &bytes).ok());
  EXPECT_EQ(bytes, MakeTorchScript("m"));
  ASSERT_TRUE(ReadBlob(leased.lease(), leased.evaluation_shards(0).sha256(), 100, &bytes).ok());
  EXPECT_EQ(bytes, MakeShard(6, 3, 2).substr(100));

  haq::v1::JobEvent accuracy;
  accuracy.mutable_accuracy()->set_int8_top1(0.75);
  ASSERT_TRUE(Report(leased.lease(), {Progress("calibrate", 4, 6), accuracy}).ok());
  ASSERT_TRUE(Report(leased.lease(), {Progress("calibrate", 6, 6)}).ok());
  EXPECT_EQ(GetJob(job.name()).progress().done(), 6);
  EXPECT_EQ(GetJob(job.name()).accuracy().int8_top1(), 0.75);

  const std::string artifact = MakeArtifact();
  ASSERT_TRUE(WriteArtifact(leased.lease(), artifact).ok());
  std::string name;
  ASSERT_TRUE(Complete(leased.lease(), artifact, &name).ok());
  EXPECT_EQ(name, "models/m/versions/1");

  const haq::v1::Job done = GetJob(job.name());
  EXPECT_EQ(done.state(), haq::v1::SUCCEEDED);
  EXPECT_EQ(done.artifact(), name);
  EXPECT_EQ(done.report_json(), R"({"images": 6})");
  EXPECT_TRUE(done.has_start_time() && done.has_end_time());
  EXPECT_EQ(job_listener_.changes(),
            (std::vector<StateChange>{{job.name(), JobState::kNone, JobState::kQueued},
                                      {job.name(), JobState::kQueued, JobState::kRunning},
                                      {job.name(), JobState::kRunning, JobState::kSucceeded}}));
  EXPECT_EQ(job_listener_.images(), 6);
  EXPECT_EQ(artifact_listener_.calls(), std::vector<std::string>{"m 1"});
  EXPECT_EQ(artifact_listener_.figures(), std::vector<server::api::ServedFigures>{{.version = 1}});

  const auto events = Watch(job.name(), 0);
  ASSERT_EQ(events.size(), 6u);
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].sequence(), static_cast<int64_t>(i) + 1);
  }
  EXPECT_EQ(events.back().state_change().artifact(), name);

  CreateJob();
  EXPECT_EQ(RunJob(1), "models/m/versions/2");
  EXPECT_EQ(artifact_listener_.calls(), (std::vector<std::string>{"m 1", "m 2"}));
}

TEST_F(WorkerProtocolTest, AReportOfTheLargestSizeReachesTheClient) {
  PushInputs();
  const std::string job = CreateJob().name();
  const pb::LeaseJobResponse leased = Lease();
  const std::string artifact = MakeArtifact();
  ASSERT_TRUE(WriteArtifact(leased.lease(), artifact).ok());
  const std::string report = '"' + std::string(options_.queue.max_report_bytes - 2, 'x') + '"';
  const grpc::Status refused = Complete(leased.lease(), artifact, nullptr, report + " ");
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(refused.error_message(), "report_json: 16777217 bytes, at most 16777216 are allowed");
  const grpc::Status accepted = Complete(leased.lease(), artifact, nullptr, report);
  ASSERT_TRUE(accepted.ok()) << accepted.error_message();
  EXPECT_EQ(GetJob(job).report_json(), report);
}

TEST_F(WorkerProtocolTest, WaitingForAJobEndsWhenOneComes) {
  PushInputs();
  pb::LeaseJobResponse leased;
  std::thread worker([&] { leased = Lease("w", 60'000); });
  // Whether the worker waits already does not matter: both orders must give it the job.
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const haq::v1::Job job = CreateJob();
  worker.join();
  EXPECT_EQ(leased.lease().job(), job.name());
}

TEST_F(WorkerProtocolTest, WaitingForAJobEndsWithoutOne) {
  EXPECT_FALSE(Lease("w", 50).has_lease());
}

TEST_F(WorkerProtocolTest, AWorkerThatWentAwayWhileWaitingGetsNoJob) {
  PushInputs();
  {
    pb::LeaseJobRequest request;
    request.set_worker("gone");
    request.set_wait_ms(60'000);
    pb::LeaseJobResponse response;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(100));
    EXPECT_EQ(workers_->LeaseJob(&context, request, &response).error_code(),
              grpc::StatusCode::DEADLINE_EXCEEDED);
  }
  const haq::v1::Job job = CreateJob();
  EXPECT_EQ(Lease("alive", 10'000).lease().job(), job.name());
}

TEST_F(WorkerProtocolTest, ALeaseThatExpiresPutsTheJobBackThreeTimes) {
  PushInputs();
  const std::string job = CreateJob().name();
  std::vector<pb::Lease> leases;
  for (int attempt = 1; attempt <= 3; ++attempt) {
    const pb::LeaseJobResponse leased = Lease(fmt::format("w{}", attempt));
    ASSERT_TRUE(leased.has_lease());
    EXPECT_EQ(leased.attempt(), attempt);
    EXPECT_EQ(leased.checkpoint(), attempt == 1 ? "" : fmt::format("state {}", attempt - 1));
    ASSERT_TRUE(SaveCheckpoint(leased.lease(), fmt::format("state {}", attempt)).ok());
    leases.push_back(leased.lease());
    clock_.AdvanceMs(29'000);
    ASSERT_TRUE(Report(leased.lease(), {}).ok()) << "a heartbeat extends the lease";
    clock_.AdvanceMs(29'000);
    ASSERT_TRUE(service_->queue().ExpireLeases().ok());
    EXPECT_EQ(GetJob(job).state(), haq::v1::RUNNING);
    clock_.AdvanceMs(1'001);
    // Over even before somebody notices.
    EXPECT_EQ(Report(leased.lease(), {}).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    ASSERT_TRUE(service_->queue().ExpireLeases().ok());
  }
  const haq::v1::Job failed = GetJob(job);
  EXPECT_EQ(failed.state(), haq::v1::FAILED);
  EXPECT_EQ(failed.error_code(), "UNAVAILABLE");
  EXPECT_THAT(failed.error(), testing::HasSubstr("3 attempts"));
  EXPECT_THAT(failed.error(), testing::HasSubstr("worker w3 was silent"));
  EXPECT_FALSE(Lease().has_lease());
  std::vector<haq::v1::JobState> states;
  std::vector<int> attempts;
  for (const auto& event : Watch(job, 1)) {
    states.push_back(event.state_change().state());
    attempts.push_back(event.attempt());
  }
  using enum haq::v1::JobState;
  EXPECT_EQ(states, (std::vector{QUEUED, RUNNING, QUEUED, RUNNING, QUEUED, RUNNING, FAILED}));
  EXPECT_EQ(attempts, (std::vector{0, 1, 1, 2, 2, 3, 3}));
  EXPECT_TRUE(std::filesystem::is_empty(service_->data_folder().checkpoints()));
  // Nobody of the past can do anything.
  for (const pb::Lease& lease : leases) {
    std::string bytes;
    const std::string artifact = MakeArtifact();
    const auto lost = grpc::StatusCode::FAILED_PRECONDITION;
    EXPECT_EQ(Report(lease, {}).error_code(), lost);
    EXPECT_EQ(SaveCheckpoint(lease, "x").error_code(), lost);
    EXPECT_EQ(ReadBlob(lease, Sha256Hex(MakeTorchScript("m")), 0, &bytes).error_code(), lost);
    EXPECT_EQ(WriteArtifact(lease, artifact).error_code(), lost);
    EXPECT_EQ(Complete(lease, artifact).error_code(), lost);
    EXPECT_EQ(Fail(lease, "INTERNAL", "x", true).error_code(), lost);
  }
}

TEST_F(WorkerProtocolTest, CancellingARunningJobReachesItsWorker) {
  PushInputs();
  const std::string job = CreateJob().name();
  const pb::LeaseJobResponse leased = Lease();
  pb::ReportEventsResponse report;
  ASSERT_TRUE(Report(leased.lease(), {}, &report).ok());
  EXPECT_FALSE(report.cancel_requested());
  haq::v1::CancelJobRequest request;
  request.set_name(job);
  haq::v1::Job cancelled;
  ASSERT_TRUE(Call(jobs_, &haq::v1::JobService::Stub::CancelJob, request, &cancelled).ok());
  EXPECT_EQ(cancelled.state(), haq::v1::RUNNING);
  EXPECT_TRUE(cancelled.cancel_requested());
  ASSERT_TRUE(Report(leased.lease(), {}, &report).ok());
  EXPECT_TRUE(report.cancel_requested());
  ASSERT_TRUE(Fail(leased.lease(), "CANCELLED", "stopped", false).ok());
  EXPECT_EQ(GetJob(job).state(), haq::v1::CANCELLED);
  EXPECT_EQ(Call(jobs_, &haq::v1::JobService::Stub::CancelJob, request, &cancelled).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(WorkerProtocolTest, CancellingAQueuedJobIsImmediate) {
  PushInputs();
  const std::string job = CreateJob().name();
  haq::v1::CancelJobRequest request;
  request.set_name(job);
  haq::v1::Job cancelled;
  ASSERT_TRUE(Call(jobs_, &haq::v1::JobService::Stub::CancelJob, request, &cancelled).ok());
  EXPECT_EQ(cancelled.state(), haq::v1::CANCELLED);
  EXPECT_FALSE(Lease().has_lease());
}

TEST_F(WorkerProtocolTest, AFailureIsKeptWithItsCode) {
  PushInputs();
  const std::string job = CreateJob().name();
  ASSERT_TRUE(Fail(Lease().lease(), "UNSUPPORTED", "aten::fft at layer1", false).ok());
  const haq::v1::Job failed = GetJob(job);
  EXPECT_EQ(failed.state(), haq::v1::FAILED);
  EXPECT_EQ(failed.error_code(), "UNSUPPORTED");
  EXPECT_EQ(failed.error(), "aten::fft at layer1");
  EXPECT_TRUE(failed.report_json().empty());
}

TEST_F(WorkerProtocolTest, RetryGoesBackToTheQueue) {
  PushInputs();
  const std::string job = CreateJob().name();
  ASSERT_TRUE(Fail(Lease().lease(), "UNAVAILABLE", "out of memory", true).ok());
  EXPECT_EQ(GetJob(job).state(), haq::v1::QUEUED);
  EXPECT_EQ(Lease().attempt(), 2);
}

TEST_F(WorkerProtocolTest, ArtifactsAreCheckedBeforeTheyCount) {
  PushInputs();
  const std::string job = CreateJob().name();
  const pb::Lease lease = Lease().lease();
  const std::string good = MakeArtifact();
  grpc::Status status = WriteArtifact(lease, "this is no artifact");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  std::string damaged = good;
  damaged[damaged.size() / 2] ^= 1;
  EXPECT_EQ(WriteArtifact(lease, damaged).error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_EQ(WriteArtifact(lease, good, Sha256Hex("other")).error_code(),
            grpc::StatusCode::DATA_LOSS);
  status = WriteArtifact(lease, MakeArtifact(0, {3, 4, 4}));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), testing::HasSubstr("3x4x4"));
  EXPECT_EQ(Complete(lease, good).error_code(), grpc::StatusCode::FAILED_PRECONDITION)
      << "nothing was handed in";
  EXPECT_EQ(GetJob(job).state(), haq::v1::RUNNING);
  EXPECT_TRUE(artifact_listener_.calls().empty());
  EXPECT_TRUE(std::filesystem::is_empty(service_->data_folder().uploads()));
  ASSERT_TRUE(WriteArtifact(lease, good).ok());
  EXPECT_TRUE(Complete(lease, good).ok());
}

TEST_F(WorkerProtocolTest, AWorkerReadsOnlyItsJobsBlobs) {
  PushInputs();
  const std::string other = UploadBlob(*service_, "somebody else's");
  CreateJob();
  const pb::Lease lease = Lease().lease();
  std::string bytes;
  EXPECT_EQ(ReadBlob(lease, other, 0, &bytes).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_TRUE(bytes.empty());
}

TEST_F(WorkerProtocolTest, ForgedEventsAreRefused) {
  PushInputs();
  const std::string job = CreateJob().name();
  const pb::Lease lease = Lease().lease();
  haq::v1::JobEvent forged;
  forged.mutable_state_change()->set_state(haq::v1::SUCCEEDED);
  grpc::Status status = Report(lease, {Progress("calibrate", 1, 6), forged});
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), testing::HasSubstr("events[1]"));
  haq::v1::JobEvent large;
  large.mutable_log()->set_message(std::string(70'000, 'x'));
  EXPECT_EQ(Report(lease, {large}).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(GetJob(job).last_sequence(), 2) << "a refused report leaves nothing";
}

TEST_F(WorkerProtocolTest, TheSocketIsThisUsersAlone) {
  const auto permissions =
      std::filesystem::status(service_->data_folder().worker_socket()).permissions();
  EXPECT_EQ(permissions, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(WorkerProtocolTest, LargeCheckpointsTravel) {
  PushInputs();
  CreateJob();
  const std::string checkpoint(20 << 20, 'c');
  ASSERT_TRUE(SaveCheckpoint(Lease().lease(), checkpoint).ok());
  clock_.AdvanceMs(31'000);
  ASSERT_TRUE(service_->queue().ExpireLeases().ok());
  EXPECT_EQ(Lease().checkpoint(), checkpoint);
}

}  // namespace
}  // namespace haq::test
