#include "client/lib/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <thread>

#include "client/lib/names.h"
#include "client/lib/retry.h"
#include "client/lib/status.h"
#include "core/base/file.h"
#include "core/base/sha256.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tests/unit/client/lib/fake_server.h"

namespace haq::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class ClientTest : public ::testing::Test {
 protected:
  ClientTest() {
    std::string path = (std::filesystem::temp_directory_path() / "haq-client-XXXXXX").string();
    folder_ = ::mkdtemp(path.data());
    options_.server = server_.address();
    options_.retry_ms = 500;
    options_.reconnect_ms = 5000;
  }
  ~ClientTest() override { std::filesystem::remove_all(folder_); }

  static std::string Bytes(size_t size) {
    std::minstd_rand random(7);
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    return bytes;
  }
  static std::string Digest(const std::string& bytes) {
    Sha256 sha;
    sha.Update(bytes);
    return ToHex(sha.Finish());
  }
  std::filesystem::path File(const std::string& bytes) {
    const auto path = folder_ / "file";
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

  FakeServer server_;
  ClientOptions options_;
  std::filesystem::path folder_;
};

TEST_F(ClientTest, UploadsInMessagesOfAMebibyteAndReportsProgress) {
  const std::string bytes = Bytes((5 << 20) / 2);
  Client client(options_);
  std::vector<int64_t> progress;
  const auto sha256 = client.UploadFile(File(bytes), [&](int64_t done, int64_t total) {
    EXPECT_EQ(total, 5 << 19);
    progress.push_back(done);
  });
  ASSERT_TRUE(sha256.ok()) << sha256.status().ToString();
  EXPECT_EQ(*sha256, Digest(bytes));
  EXPECT_EQ(server_.blobs.bytes(*sha256), bytes);
  EXPECT_FALSE(server_.blobs.saw_large_message());
  EXPECT_THAT(progress, ElementsAre(0, 1 << 20, 2 << 20, 5 << 19));
}

TEST_F(ClientTest, UploadContinuesWhereTheConnectionBroke) {
  const std::string bytes = Bytes(6 << 20);
  server_.blobs.BreakAfter(/*messages=*/2, /*times=*/2);
  Client client(options_);
  const auto sha256 = client.UploadFile(File(bytes));
  ASSERT_TRUE(sha256.ok()) << sha256.status().ToString();
  EXPECT_EQ(server_.blobs.bytes(*sha256), bytes);
  EXPECT_EQ(server_.blobs.streams(), 3);
  EXPECT_EQ(server_.blobs.received_bytes(), 6 << 20) << "bytes that were kept are not sent again";
}

TEST_F(ClientTest, UploadOutlivesAServerRestart) {
  const std::string bytes = Bytes(4 << 20);
  Client client(options_);
  std::thread restart;
  const auto sha256 = client.UploadFile(File(bytes), [&](int64_t done, int64_t) {
    if (done == 2 << 20 && !restart.joinable()) {
      server_.Stop();
      restart = std::thread([this] {
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        server_.Restart();
      });
    }
  });
  restart.join();
  ASSERT_TRUE(sha256.ok()) << sha256.status().ToString();
  EXPECT_EQ(server_.blobs.bytes(*sha256), bytes);
}

TEST_F(ClientTest, ABlobThatTheServerHasIsNotSent) {
  const auto path = File(Bytes(100));
  Client client(options_);
  ASSERT_TRUE(client.UploadFile(path).ok());
  ASSERT_TRUE(client.UploadFile(path).ok());
  EXPECT_EQ(server_.blobs.streams(), 1);
  EXPECT_EQ(server_.blobs.received_bytes(), 100);
}

TEST_F(ClientTest, UploadGivesUpWithTheServersReason) {
  options_.reconnect_ms = 300;
  server_.blobs.BreakAfter(0, 1000);
  Client client(options_);
  const auto sha256 = client.UploadFile(File(Bytes(100)));
  EXPECT_EQ(sha256.status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(sha256.status().message(), HasSubstr("the connection broke"));
  EXPECT_THAT(sha256.status().message(), HasSubstr(server_.address()));
}

TEST_F(ClientTest, UploadNamesAFileThatIsNotThere) {
  Client client(options_);
  const auto sha256 = client.UploadFile(folder_ / "absent.pt");
  EXPECT_EQ(sha256.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(sha256.status().message(), HasSubstr("absent.pt"));
  EXPECT_EQ(client.UploadFile(folder_).status().code(), StatusCode::kInvalidArgument);
}

TEST_F(ClientTest, WatchShowsEveryEventOnceOverBrokenConnections) {
  server_.jobs.SetEvents(20, /*ended=*/true);
  server_.jobs.BreakAfter(/*events=*/3, /*times=*/5);
  Client client(options_);
  std::vector<int64_t> seen;
  const Status status = client.WatchJob(
      "jobs/1", 0, [&](const v1::JobEvent& event) { seen.push_back(event.sequence()); });
  ASSERT_TRUE(status.ok()) << status.ToString();
  std::vector<int64_t> expected(20);
  std::iota(expected.begin(), expected.end(), 1);
  EXPECT_EQ(seen, expected);
  EXPECT_EQ(server_.jobs.streams(), 6);
}

TEST_F(ClientTest, WatchFromAnEventOn) {
  server_.jobs.SetEvents(5, true);
  Client client(options_);
  std::vector<int64_t> seen;
  const auto remember = [&](const v1::JobEvent& event) { seen.push_back(event.sequence()); };
  ASSERT_TRUE(client.WatchJob("jobs/1", 4, remember).ok());
  EXPECT_THAT(seen, ElementsAre(4, 5));
  seen.clear();
  ASSERT_TRUE(client.WatchJob("jobs/1", 6, remember).ok()) << "nothing is left of an ended job";
  EXPECT_THAT(seen, SizeIs(0));
}

TEST_F(ClientTest, WatchNoticesAGap) {
  server_.jobs.SetEvents(5, true);
  server_.jobs.Skip(3);
  Client client(options_);
  const Status status = client.WatchJob("jobs/1", 1, [](const v1::JobEvent&) {});
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_THAT(status.message(), HasSubstr("event 4 after event 2"));
}

TEST_F(ClientTest, WatchEndsWhenAskedTo) {
  server_.jobs.SetEvents(2, /*ended=*/false);
  Client client(options_);
  std::stop_source stop;
  std::thread stopper;
  const Status status = client.WatchJob(
      "jobs/1", 1,
      [&](const v1::JobEvent& event) {
        if (event.sequence() == 2) {
          stopper = std::thread([&stop] {
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
            stop.request_stop();
          });
        }
      },
      stop.get_token());
  stopper.join();
  EXPECT_EQ(status.code(), StatusCode::kCancelled);
}

TEST_F(ClientTest, WatchOfAnUnknownJob) {
  Client client(options_);
  const Status status = client.WatchJob("jobs/2", 1, [](const v1::JobEvent&) {});
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("name"));
}

TEST_F(ClientTest, DownloadContinuesAfterABreakAndChecks) {
  const std::string bytes = Bytes(300'000);
  server_.artifacts.Set(bytes, Digest(bytes));
  server_.artifacts.BreakAfter(2, 1);
  Client client(options_);
  const auto artifact = client.DownloadArtifact("models/m", folder_ / "m.haq");
  ASSERT_TRUE(artifact.ok()) << artifact.status().ToString();
  EXPECT_EQ(*ReadTextFile(folder_ / "m.haq"), bytes);
  EXPECT_THAT(server_.artifacts.offsets(), ElementsAre(0, 2 * 65536));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(ClientTest, DownloadContinuesWhereAnEarlierOneWasInterrupted) {
  const std::string bytes = Bytes(300'000);
  server_.artifacts.Set(bytes, Digest(bytes));
  std::ofstream(folder_ / ("m.haq." + Digest(bytes).substr(0, 16) + ".part"), std::ios::binary)
      << bytes.substr(0, 1000);
  Client client(options_);
  ASSERT_TRUE(client.DownloadArtifact("models/m", folder_ / "m.haq").ok());
  EXPECT_THAT(server_.artifacts.offsets(), ElementsAre(1000));
  EXPECT_EQ(*ReadTextFile(folder_ / "m.haq"), bytes);
}

TEST_F(ClientTest, DownloadOfOtherBytesLeavesNothing) {
  const std::string bytes = Bytes(1000);
  server_.artifacts.Set(bytes, Digest("something else"));
  Client client(options_);
  const auto artifact = client.DownloadArtifact("models/m", folder_ / "m.haq");
  EXPECT_EQ(artifact.status().code(), StatusCode::kDataLoss);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(ClientTest, BlobsComeBackAlsoOverABreak) {
  const std::string bytes = Bytes(300'000);
  std::ofstream(folder_ / "in", std::ios::binary) << bytes;
  Client client(options_);
  ASSERT_TRUE(client.UploadFile(folder_ / "in").ok());
  server_.blobs.BreakAfter(2, 1);
  int64_t last = 0;
  const Status status = client.DownloadBlob(Digest(bytes), 300'000, folder_ / "out",
                                            [&](int64_t done, int64_t) { last = done; });
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(*ReadTextFile(folder_ / "out"), bytes);
  EXPECT_EQ(last, 300'000);
  EXPECT_EQ(client.DownloadBlob(Digest("absent"), 5, folder_ / "none").code(),
            StatusCode::kNotFound);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 2)
      << "what failed leaves nothing";
}

TEST_F(ClientTest, CreatesAreRepeatedWithTheSameRequestId) {
  server_.models.failure = {grpc::StatusCode::UNAVAILABLE, "restarting"};
  server_.models.failures = 2;
  Client client(options_);
  const auto model = client.CreateModel("m", {});
  ASSERT_TRUE(model.ok()) << model.status().ToString();
  EXPECT_EQ(model->name(), "models/m");
  ASSERT_THAT(server_.models.request_ids, SizeIs(3));
  EXPECT_THAT(server_.models.request_ids[0], SizeIs(32));
  EXPECT_EQ(server_.models.request_ids[0], server_.models.request_ids[2]);
  ASSERT_TRUE(client.CreateModel("m", {}).ok());
  EXPECT_NE(server_.models.request_ids[0], server_.models.request_ids[3]);
}

TEST_F(ClientTest, OtherFailuresAreNotRepeated) {
  server_.models.failure = {grpc::StatusCode::INTERNAL, "a defect"};
  server_.models.failures = 1;
  Client client(options_);
  EXPECT_EQ(client.CreateModel("m", {}).status().code(), StatusCode::kInternal);
  EXPECT_THAT(server_.models.request_ids, SizeIs(1));
}

TEST_F(ClientTest, ListFollowsThePagesUpToItsLimit) {
  Client client(options_);
  const auto all = client.ListJobs(v1::JOB_STATE_UNSPECIFIED);
  ASSERT_TRUE(all.ok());
  EXPECT_THAT(*all, SizeIs(25));
  EXPECT_EQ(all->back().name(), "jobs/24");
  EXPECT_THAT(*client.ListJobs(v1::JOB_STATE_UNSPECIFIED, 12), SizeIs(12));
}

TEST_F(ClientTest, TakesTheLargestReportOfAServer) {
  const std::string report = '"' + std::string((16 << 20) - 2, 'x') + '"';
  server_.jobs.SetReport(report);
  Client client(options_);
  const auto job = client.GetJob("jobs/1");
  ASSERT_TRUE(job.ok()) << job.status().ToString();
  EXPECT_EQ(job->report_json(), report);
}

TEST_F(ClientTest, AServerThatIsAwayIsNamed) {
  server_.Stop();
  Client client(options_);
  const auto model = client.GetModel("models/m");
  EXPECT_EQ(model.status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(model.status().message(), HasSubstr(server_.address()));
}

TEST(StatusTest, CodeMessageAndFieldsOfTheServerSurvive) {
  google::rpc::BadRequest bad_request;
  auto* violation = bad_request.add_field_violations();
  violation->set_field("input_shape");
  violation->set_description("must have 3 values");
  google::rpc::Status details;
  details.add_details()->PackFrom(bad_request);
  const Status status = FromGrpc({grpc::StatusCode::INVALID_ARGUMENT,
                                  "input_shape: must have 3 values", details.SerializeAsString()});
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "input_shape: must have 3 values");
  ASSERT_THAT(status.fields(), SizeIs(1));
  EXPECT_EQ(status.fields()[0].field, "input_shape");
  EXPECT_EQ(status.fields()[0].description, "must have 3 values");
  EXPECT_TRUE(FromGrpc(grpc::Status::OK).ok());
  EXPECT_EQ(FromGrpc({grpc::StatusCode::NOT_FOUND, "x", "no details"}).code(),
            StatusCode::kNotFound);
}

TEST(NamesTest, ShortAndFullNames) {
  EXPECT_EQ(FullName("models", "resnet20"), "models/resnet20");
  EXPECT_EQ(FullName("models", "models/resnet20"), "models/resnet20");
  EXPECT_EQ(FullName("models", "resnet20/versions/3"), "models/resnet20/versions/3");
  EXPECT_EQ(ShortName("models/resnet20"), "resnet20");
  EXPECT_EQ(ShortName("resnet20"), "resnet20");
}

TEST(BackoffTest, EndsWithTheBudgetOrTheStop) {
  Backoff backoff(120);
  int waits = 0;
  while (backoff.Wait()) ++waits;
  EXPECT_GE(waits, 1);
  EXPECT_LE(waits, 5);
  std::stop_source stop;
  stop.request_stop();
  Backoff long_backoff(60'000);
  EXPECT_FALSE(long_backoff.Wait(stop.get_token()));
}

}  // namespace
}  // namespace haq::client
