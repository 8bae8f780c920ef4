#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <mutex>
#include <thread>

#include "core/base/file.h"
#include "core/base/sha256.h"
#include "haq/internal/v1/worker.grpc.pb.h"
#include "server/worker/events.h"
#include "server/worker/link.h"
#include "server/worker/reporter.h"
#include "server/worker/scratch.h"
#include "server/worker/watchdog.h"

namespace haq::server::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

const grpc::Status kBroken(grpc::StatusCode::UNAVAILABLE, "the connection broke");
const grpc::Status kLost(grpc::StatusCode::FAILED_PRECONDITION, "lease: expired");

// The server's side of the worker protocol, in memory, which breaks when told to.
class FakeWorkerService final : public proto::WorkerService::Service {
 public:
  grpc::Status ReadBlob(grpc::ServerContext*, const proto::ReadBlobRequest* request,
                        grpc::ServerWriter<proto::ReadBlobResponse>* writer) override {
    offsets.push_back(request->offset());
    int sent = 0;
    for (size_t offset = request->offset(); offset < blob.size(); offset += 1000) {
      if (breaks > 0 && sent == 3) {
        --breaks;
        return kBroken;
      }
      proto::ReadBlobResponse response;
      response.set_data(blob.substr(offset, 1000));
      writer->Write(response);
      ++sent;
    }
    return grpc::Status::OK;
  }

  grpc::Status ReportEvents(grpc::ServerContext*, const proto::ReportEventsRequest* request,
                            proto::ReportEventsResponse* response) override {
    const std::lock_guard lock(mutex);
    ++reports;
    if (lost) return kLost;
    if (breaks > 0) {
      --breaks;
      return kBroken;
    }
    for (const auto& event : request->events()) events.push_back(event);
    response->set_cancel_requested(cancel);
    response->set_lease_ms(300);
    return grpc::Status::OK;
  }

  grpc::Status WriteArtifact(grpc::ServerContext*,
                             grpc::ServerReader<proto::WriteArtifactRequest>* reader,
                             proto::WriteArtifactResponse*) override {
    artifact.clear();
    proto::WriteArtifactRequest request;
    for (int messages = 0; reader->Read(&request); ++messages) {
      if (messages == 0) artifact_sha256 = request.sha256(), artifact_size = request.size_bytes();
      if (messages == 1 && breaks > 0) {
        --breaks;
        return kBroken;
      }
      artifact += request.data();
    }
    return grpc::Status::OK;
  }

  grpc::Status FailJob(grpc::ServerContext*, const proto::FailJobRequest* request,
                       proto::FailJobResponse*) override {
    failure = *request;
    return grpc::Status::OK;
  }

  std::string blob;
  std::vector<int64_t> offsets;
  std::string artifact, artifact_sha256;
  int64_t artifact_size = 0;
  proto::FailJobRequest failure;
  std::atomic<int> breaks{0};

  std::mutex mutex;
  std::vector<v1::JobEvent> events;
  int reports = 0;
  bool cancel = false, lost = false;
};

class LinkTest : public ::testing::Test {
 protected:
  LinkTest() {
    std::string path = (std::filesystem::temp_directory_path() / "haq-link-XXXXXX").string();
    folder_ = ::mkdtemp(path.data());
    address_ = "unix:" + (folder_ / "socket").string();
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address_, grpc::InsecureServerCredentials());
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    link_ = std::make_unique<Link>(address_, /*patience_ms=*/2000);
    lease_.set_job("jobs/1");
    lease_.set_token("secret");
  }
  ~LinkTest() override {
    server_->Shutdown(std::chrono::system_clock::now());
    std::filesystem::remove_all(folder_);
  }

  proto::BlobRef Blob(const std::string& content) {
    service_.blob = content;
    Sha256 sha;
    sha.Update(content);
    proto::BlobRef blob;
    blob.set_sha256(ToHex(sha.Finish()));
    blob.set_size_bytes(static_cast<int64_t>(content.size()));
    return blob;
  }

  FakeWorkerService service_;
  std::filesystem::path folder_;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Link> link_;
  proto::Lease lease_;
  CancellationToken cancellation_;
};

TEST_F(LinkTest, BlobsArriveWholeOverBrokenConnections) {
  const std::string content(10'500, 'x');
  const auto blob = Blob(content);
  service_.breaks = 2;
  int64_t bytes = 0;
  const Status status = link_->DownloadBlob(lease_, blob, folder_ / "blob", cancellation_,
                                            [&](int64_t size) { bytes += size; });
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(*ReadTextFile(folder_ / "blob"), content);
  EXPECT_EQ(bytes, 10'500);
  EXPECT_THAT(service_.offsets, ElementsAre(0, 3000, 6000));
}

TEST_F(LinkTest, DamagedBlobsAreRefused) {
  auto blob = Blob("content");
  service_.blob = "c0ntent";
  EXPECT_EQ(link_->DownloadBlob(lease_, blob, folder_ / "blob", cancellation_, {}).code(),
            StatusCode::kDataLoss);
  service_.blob = "content and more";
  EXPECT_EQ(link_->DownloadBlob(lease_, blob, folder_ / "blob", cancellation_, {}).code(),
            StatusCode::kDataLoss);
}

TEST_F(LinkTest, CancellationEndsADownload) {
  const auto blob = Blob(std::string(5000, 'x'));
  const Status status = link_->DownloadBlob(lease_, blob, folder_ / "blob", cancellation_,
                                            [&](int64_t) { cancellation_.Cancel(); });
  EXPECT_EQ(status.code(), StatusCode::kCancelled);
}

TEST_F(LinkTest, ArtifactsAreSentAgainFromTheStart) {
  const std::vector<uint8_t> artifact((5 << 20) / 2, 7);
  service_.breaks = 1;
  const auto sha256 = link_->WriteArtifact(lease_, artifact, {});
  ASSERT_TRUE(sha256.ok()) << sha256.status().ToString();
  EXPECT_EQ(*sha256, ToHex(Sha256Of(artifact)));
  EXPECT_EQ(service_.artifact_sha256, *sha256);
  EXPECT_EQ(service_.artifact_size, 5 << 19);
  EXPECT_EQ(service_.artifact, std::string(artifact.begin(), artifact.end()));
}

TEST_F(LinkTest, FailuresCarryCodeAndMessage) {
  ASSERT_TRUE(link_->FailJob(lease_, Unsupported("aten::foo at x"), true).ok());
  EXPECT_EQ(service_.failure.code(), "UNSUPPORTED");
  EXPECT_EQ(service_.failure.message(), "aten::foo at x");
  EXPECT_TRUE(service_.failure.retry());
  EXPECT_EQ(service_.failure.lease().token(), "secret");
}

TEST_F(LinkTest, LeaseJobEndsWhenAskedTo) {
  // The server does not implement LeaseJob: no long wait to interrupt, but no job either.
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(link_->LeaseJob("w", 60'000, stop.get_token()).status().code(), StatusCode::kCancelled);
  EXPECT_EQ(link_->LeaseJob("w", 1, {}).status().code(), StatusCode::kUnsupported);
}

TEST_F(LinkTest, ReporterSendsEverythingInOrderButNotEveryStep) {
  service_.breaks = 1;
  Reporter reporter(*link_, lease_, 30'000, cancellation_);
  for (int i = 0; i <= 1000; ++i) reporter.OnProgress({"calibrate", i, 1000, 0});
  reporter.OnLog("warning", "odd image");
  reporter.OnProgress({"lower", 0, 0, 0});
  ASSERT_TRUE(reporter.Flush().ok());
  reporter.Stop();
  const std::lock_guard lock(service_.mutex);
  ASSERT_GE(service_.events.size(), 3U);
  EXPECT_LE(service_.events.size(), 8U);
  EXPECT_EQ(service_.events.end()[-3].progress().done(), 1000);
  EXPECT_EQ(service_.events.end()[-2].log().message(), "odd image");
  EXPECT_EQ(service_.events.end()[-1].progress().phase(), "lower");
}

TEST_F(LinkTest, ReporterKeepsTheLeaseAliveWhenNothingChanges) {
  Reporter reporter(*link_, lease_, /*lease_ms=*/300, cancellation_);
  std::this_thread::sleep_for(std::chrono::milliseconds(450));
  reporter.Stop();
  const std::lock_guard lock(service_.mutex);
  EXPECT_GE(service_.reports, 2);
  EXPECT_TRUE(service_.events.empty());
  EXPECT_FALSE(cancellation_.cancelled());
}

TEST_F(LinkTest, ReporterCancelsWhenTheServerAsks) {
  service_.cancel = true;
  Reporter reporter(*link_, lease_, 30'000, cancellation_);
  reporter.OnProgress({"calibrate", 1, 10, 0});
  ASSERT_TRUE(reporter.Flush().ok());
  EXPECT_TRUE(reporter.cancel_requested());
  EXPECT_TRUE(cancellation_.cancelled());
  EXPECT_FALSE(reporter.lost());
}

TEST_F(LinkTest, ReporterDropsTheJobWhenTheLeaseIsLost) {
  service_.lost = true;
  Reporter reporter(*link_, lease_, 30'000, cancellation_);
  reporter.OnProgress({"calibrate", 1, 10, 0});
  EXPECT_EQ(reporter.Flush().code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(reporter.lost());
  EXPECT_TRUE(cancellation_.cancelled());
}

TEST(EventBufferTest, KeepsTheLastOfEachPhaseAndEveryLog) {
  EventBuffer buffer;
  buffer.AddProgress({"calibrate", 1, 2, 0});
  buffer.AddProgress({"calibrate", 2, 2, 0});
  buffer.AddLog("warning", "first");
  buffer.AddProgress({"evaluate", 1, 9, 0});
  buffer.AddAccuracy({.images = 1});
  buffer.AddProgress({"evaluate", 2, 9, 0});
  buffer.AddAccuracy({.images = 2});
  const auto events = buffer.Take();
  ASSERT_THAT(events, SizeIs(4));
  EXPECT_EQ(events[0].progress().done(), 2);
  EXPECT_EQ(events[1].log().message(), "first");
  EXPECT_EQ(events[2].progress().done(), 2);
  EXPECT_EQ(events[2].progress().phase(), "evaluate");
  EXPECT_EQ(events[3].accuracy().images(), 2);
  EXPECT_TRUE(buffer.empty());
}

TEST(EventBufferTest, LogsAreBounded) {
  EventBuffer buffer;
  for (size_t i = 0; i < EventBuffer::kMaxLogs + 5; ++i) {
    buffer.AddLog("warning", std::string(EventBuffer::kMaxLogBytes - 1, 'x') + "\xC3\xBC");
  }
  const auto events = buffer.Take();
  ASSERT_THAT(events, SizeIs(EventBuffer::kMaxLogs + 1));
  EXPECT_EQ(events[0].log().message(), std::string(EventBuffer::kMaxLogBytes - 1, 'x') + " ...");
  EXPECT_EQ(events.back().log().message(), "5 more messages were left out");
}

class WatchdogTest : public ::testing::Test {
 protected:
  // Waits for the call, but not for ever.
  bool Stalled() {
    for (int i = 0; i < 500 && !stalled_; ++i) Pause(10);
    return stalled_;
  }
  static void Pause(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

  std::atomic<int> stalled_{0};
  CancellationToken cancellation_;
};

TEST_F(WatchdogTest, CallsOnceWhenNothingMoves) {
  Watchdog watchdog({.stall_ms = 40}, cancellation_, [this] { ++stalled_; });
  EXPECT_TRUE(Stalled());
  Pause(150);
  EXPECT_EQ(stalled_, 1);
}

TEST_F(WatchdogTest, IsQuietWhileWorkMovesAndAfterItsEnd) {
  {
    Watchdog watchdog({.stall_ms = 2000, .cancel_ms = 50}, cancellation_, [this] { ++stalled_; });
    for (int i = 0; i < 10; ++i) Pause(20), watchdog.Touch();
  }
  {
    Watchdog unlimited({}, cancellation_, [this] { ++stalled_; });
    Pause(50);
  }
  EXPECT_EQ(stalled_, 0);
}

TEST_F(WatchdogTest, NoticesWorkThatDoesNotHearTheCancellation) {
  Watchdog watchdog({.stall_ms = 60'000, .cancel_ms = 40}, cancellation_, [this] { ++stalled_; });
  cancellation_.Cancel();
  EXPECT_TRUE(Stalled());
}

TEST(ScratchTest, GoneWithTheObjectAndAfterADeadWorker) {
  std::string parent_path = (std::filesystem::temp_directory_path() / "haq-scr-XXXXXX").string();
  const std::filesystem::path parent = ::mkdtemp(parent_path.data());
  {
    const auto scratch = ScratchFolder::Make(parent);
    ASSERT_TRUE(scratch.ok()) << scratch.status().ToString();
    EXPECT_TRUE(std::filesystem::is_directory((*scratch)->path()));
    EXPECT_EQ(RemoveAbandonedScratch(parent), 0) << "its owner lives";
    EXPECT_TRUE(std::filesystem::is_directory((*scratch)->path()));
  }
  EXPECT_TRUE(std::filesystem::is_empty(parent));
  const pid_t dead = ::fork();
  if (dead == 0) ::_exit(0);
  ::waitpid(dead, nullptr, 0);
  std::filesystem::create_directory(parent / fmt::format("haq-worker-{}-abcdef", dead));
  std::filesystem::create_directory(parent / "haq-worker-notes");
  EXPECT_EQ(RemoveAbandonedScratch(parent), 1);
  EXPECT_TRUE(std::filesystem::is_directory(parent / "haq-worker-notes"));
  std::filesystem::remove_all(parent);
}

TEST(ScratchTest, AFolderThatCannotBeWrittenIsNamed) {
  const auto scratch = ScratchFolder::Make("/proc/haq");
  EXPECT_EQ(scratch.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(scratch.status().message(), HasSubstr("/proc/haq"));
}

}  // namespace
}  // namespace haq::server::worker
