// A server that stops, or dies, and comes back.
#include "rpc_fixture.h"

namespace haq::test {
namespace {

class RestartTest : public RpcTest {};

TEST_F(RestartTest, EverythingIsStillThere) {
  PushInputs();
  CreateJob();
  EXPECT_EQ(RunJob(), "models/m/versions/1");
  const std::string second = CreateJob().name();
  const pb::LeaseJobResponse leased = Lease();
  ASSERT_TRUE(Report(leased.lease(), {Progress("calibrate", 3, 6)}).ok());
  ASSERT_TRUE(SaveCheckpoint(leased.lease(), "half of it").ok());
  const auto before = Watch("jobs/1", 1);

  StopServer();
  StartServer();

  haq::v1::ListModelsResponse models;
  ASSERT_TRUE(Call(models_, &haq::v1::ModelService::Stub::ListModels, {}, &models).ok());
  ASSERT_EQ(models.models_size(), 1);
  EXPECT_EQ(models.models(0).served_version(), "models/m/versions/1");
  haq::v1::ListDatasetsResponse datasets;
  ASSERT_TRUE(Call(datasets_, &haq::v1::DatasetService::Stub::ListDatasets, {}, &datasets).ok());
  EXPECT_EQ(datasets.datasets_size(), 2);
  const auto after = Watch("jobs/1", 1);
  ASSERT_EQ(after.size(), before.size());
  for (size_t i = 0; i < after.size(); ++i) {
    EXPECT_EQ(after[i].SerializeAsString(), before[i].SerializeAsString());
  }
  const auto versions = service_->artifacts().AllVersions();
  ASSERT_TRUE(versions.ok());
  ASSERT_EQ(versions->size(), 1u);
  EXPECT_TRUE(versions->front().served);
  EXPECT_TRUE(std::filesystem::exists(versions->front().path));

  // The worker died with the server: its job waits again, and continues from its checkpoint.
  EXPECT_EQ(GetJob(second).state(), haq::v1::QUEUED);
  EXPECT_EQ(GetJob(second).progress().done(), 3);
  EXPECT_EQ(Report(leased.lease(), {}).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  const pb::LeaseJobResponse again = Lease();
  EXPECT_EQ(again.lease().job(), second);
  EXPECT_EQ(again.attempt(), 2);
  EXPECT_EQ(again.checkpoint(), "half of it");
  const std::string artifact = MakeArtifact(5);
  ASSERT_TRUE(WriteArtifact(again.lease(), artifact).ok());
  std::string name;
  ASSERT_TRUE(Complete(again.lease(), artifact, &name).ok());
  EXPECT_EQ(name, "models/m/versions/2");
}

TEST_F(RestartTest, RestartsUseUpNoAttempts) {
  PushInputs();
  const std::string job = CreateJob().name();
  for (int attempt = 1; attempt <= 5; ++attempt) {
    ASSERT_EQ(Lease().attempt(), attempt);
    StopServer();
    StartServer();
  }
  EXPECT_EQ(GetJob(job).state(), haq::v1::QUEUED);
}

// What is left behind by a server that was killed is the files alone: a copy of them, taken while
// it runs, is what the next one finds.
TEST_F(RestartTest, AServerThatWasKilled) {
  PushInputs();
  const std::string job = CreateJob().name();
  const pb::LeaseJobResponse leased = Lease();
  ASSERT_TRUE(Report(leased.lease(), {Progress("calibrate", 2, 6)}).ok());
  ASSERT_TRUE(SaveCheckpoint(leased.lease(), "two images").ok());
  const std::string upload(100'000, 'u');
  ASSERT_TRUE(service_->uploads().Start(Sha256Hex(upload), 100'000).ok());
  const std::vector<uint8_t> part(40'000, 'u');
  ASSERT_TRUE(service_->uploads().Write(Sha256Hex(upload), 0, part).ok());

  const auto copy = folder_.path() / "copy";
  std::filesystem::create_directory(copy);
  for (const char* name : {"haq.sqlite", "haq.sqlite-wal", "blobs", "uploads", "checkpoints"}) {
    std::filesystem::copy(folder_.path() / "data" / name, copy / name,
                          std::filesystem::copy_options::recursive);
  }
  StopServer();
  std::filesystem::remove_all(folder_.path() / "data");
  std::filesystem::rename(copy, folder_.path() / "data");
  StartServer();

  EXPECT_EQ(GetJob(job).state(), haq::v1::QUEUED);
  const pb::LeaseJobResponse again = Lease();
  EXPECT_EQ(again.checkpoint(), "two images");
  haq::v1::StartUploadRequest request;
  request.set_sha256(Sha256Hex(upload));
  request.set_size_bytes(100'000);
  haq::v1::Upload state;
  ASSERT_TRUE(Call(blobs_, &haq::v1::BlobService::Stub::StartUpload, request, &state).ok());
  EXPECT_EQ(state.committed_bytes(), 40'000);
}

TEST_F(RestartTest, TwoServersDoNotShareAFolder) {
  auto second = server::api::Service::Open(options_);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(second.status().message(), testing::HasSubstr("is in use by another server"));
  EXPECT_THAT(second.status().message(), testing::HasSubstr(options_.data_dir.string()));
}

TEST_F(RestartTest, APortInUseIsNamed) {
  TempFolder other;
  server::api::ServiceOptions options = options_;
  options.data_dir = other.path() / "data";
  auto service = server::api::Service::Open(options);
  ASSERT_TRUE(service.ok());
  server::rpc::GrpcOptions grpc_options;
  grpc_options.address = fmt::format("127.0.0.1:{}", server_->port());
  const auto server = server::rpc::StartGrpcServer(grpc_options, **service);
  ASSERT_FALSE(server.ok());
  EXPECT_EQ(server.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(server.status().message(), testing::HasSubstr(grpc_options.address));
  EXPECT_THAT(server.status().message(), testing::HasSubstr("the port is in use"));
}

TEST_F(RestartTest, AFolderTooDeepForASocketIsNamed) {
  server::api::ServiceOptions options = options_;
  options.data_dir = folder_.path() / std::string(100, 'd');
  auto service = server::api::Service::Open(options);
  ASSERT_TRUE(service.ok());
  server::rpc::GrpcOptions grpc_options;
  grpc_options.address = "127.0.0.1:0";
  const auto server = server::rpc::StartGrpcServer(grpc_options, **service);
  ASSERT_FALSE(server.ok());
  EXPECT_EQ(server.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(server.status().message(), testing::HasSubstr("too long"));
}

}  // namespace
}  // namespace haq::test
