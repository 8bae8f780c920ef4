#include "server/api/service.h"

#include <fstream>

#include "service_fixture.h"

namespace haq::test {
namespace {

class StartAndStopTest : public ServiceTest {};

TEST_F(StartAndStopTest, BlobsThatNothingRefersToAreSweptWhenOld) {
  PushModel(*service_);
  UploadBlob(*service_, "an upload that nobody used");
  EXPECT_EQ(CountBlobs(), 2);
  Open();
  EXPECT_EQ(CountBlobs(), 2) << "somebody may be about to use it";
  clock_.AdvanceMs(int64_t{25} * 3600 * 1000);
  Open();
  EXPECT_EQ(CountBlobs(), 1) << "the model keeps its file";
}

TEST_F(StartAndStopTest, HalfArtifactsAreSwept) {
  const auto half = service_->data_folder().uploads() / "artifact-1-0";
  std::ofstream(half) << "half";
  Open();
  EXPECT_FALSE(std::filesystem::exists(half));
}

TEST_F(StartAndStopTest, RequestIdsAreForgottenAfterAWeek) {
  PushModel(*service_);
  PushDataset(*service_, "cal", 1);
  PushDataset(*service_, "eval", 2);
  haq::v1::CreateJobRequest request = JobRequest();
  request.set_request_id("r");
  EXPECT_EQ(service_->calibration_jobs().Create(request)->name(), "jobs/1");
  clock_.AdvanceMs(int64_t{8} * 24 * 3600 * 1000);
  Open();
  EXPECT_EQ(service_->calibration_jobs().Create(request)->name(), "jobs/2");
}

// The shell's script lies in a folder that only this user can enter.
const server::sandbox::Options kNoIsolation{server::sandbox::Mode::kOff, "", {}};

// The worker is a shell that dies as a crashing worker does, once the test leased it a job.
TEST_F(StartAndStopTest, ACrashingWorkerProcessFailsItsJob) {
  PushModel(*service_);
  PushDataset(*service_, "cal", 1);
  PushDataset(*service_, "eval", 2);
  ASSERT_TRUE(service_->calibration_jobs().Create(JobRequest()).ok());
  const auto script = folder_.path() / "worker";
  const auto go = folder_.path() / "go";
  std::ofstream(script) << fmt::format(
      "#!/bin/sh\n[ \"$1 $2\" = 'serve --server' ] || exit 9\n"
      "while [ ! -e {} ]; do sleep 0.01; done\nrm {}\nkill -SEGV $$\n",
      go.string(), go.string());
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  ASSERT_TRUE(service_->StartWorkers({script, 1, kNoIsolation}).ok());
  ASSERT_TRUE(service_->queue().Acquire("embedded-0-1", true).ok());
  std::ofstream(go) << "";
  haq::v1::GetJobRequest get;
  get.set_name("jobs/1");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  auto job = service_->calibration_jobs().Get(get);
  while (job->state() == haq::v1::RUNNING && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    job = service_->calibration_jobs().Get(get);
  }
  EXPECT_EQ(job->state(), haq::v1::FAILED);
  EXPECT_EQ(job->error(),
            "the worker crashed (signal 11, Segmentation fault) while it was at: starting");
}

TEST_F(StartAndStopTest, AMissingWorkerProgramIsNamed) {
  const Status status =
      service_->StartWorkers({"/nonexistent/haq-worker", 1, kNoIsolation}).status();
  EXPECT_EQ(status.ToString(), "NOT_FOUND: there is no worker program /nonexistent/haq-worker");
}

TEST_F(StartAndStopTest, BlobsThatNothingRefersToGoWhileTheServerRuns) {
  PushModel(*service_);
  std::atomic<int64_t> removed{0};
  options_.lease_check_period_ms = 5;
  options_.gc_period_s = 3600;
  options_.gc_grace_s = 7200;
  options_.on_blobs_removed = [&](int64_t blobs, int64_t) { removed += blobs; };
  Open();
  const auto folder = options_.data_dir / "blobs";
  server::store::BlobStore blobs(folder);
  for (const char* content : {"old", "young"}) {
    std::ofstream(folder_.path() / "new") << content;
    ASSERT_TRUE(blobs.Adopt(folder_.path() / "new", Sha256Hex(content)).ok());
  }
  // Two hours ago, the model's, too.
  const auto then = std::filesystem::file_time_type::clock::now() - std::chrono::hours(2);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().filename() != Sha256Hex("young")) {
      std::filesystem::last_write_time(entry.path(), then);
    }
  }
  clock_.AdvanceMs(int64_t{3601} * 1000);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (removed == 0 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(removed, 1) << "the model's is as old, but in use";
  EXPECT_FALSE(blobs.Find(Sha256Hex("old")));
  EXPECT_TRUE(blobs.Find(Sha256Hex("young")));
  service_.reset();
}

TEST_F(StartAndStopTest, LeasesAreCheckedByThemselves) {
  options_.lease_check_period_ms = 5;
  Open();
  PushModel(*service_);
  PushDataset(*service_, "cal", 1);
  PushDataset(*service_, "eval", 2);
  ASSERT_TRUE(service_->calibration_jobs().Create(JobRequest()).ok());
  ASSERT_TRUE(service_->queue().Acquire("w", false).ok());
  std::mutex mutex;
  std::condition_variable changed;
  bool queued = false;
  const auto subscription = service_->queue().OnQueued([&] {
    const std::lock_guard lock(mutex);
    queued = true;
    changed.notify_all();
  });
  clock_.AdvanceMs(31'000);
  std::unique_lock lock(mutex);
  EXPECT_TRUE(changed.wait_for(lock, std::chrono::seconds(30), [&] { return queued; }));
}

}  // namespace
}  // namespace haq::test
