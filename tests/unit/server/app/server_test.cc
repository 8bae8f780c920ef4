#include "server/app/server.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/artifact/file.h"
#include "core/base/file.h"
#include "haq/internal/v1/worker.grpc.pb.h"
#include "haq/v1/models.grpc.pb.h"
#include "inference/inference.grpc.pb.h"
#include "testing.h"
#include "tests/unit/server/serving/test_model.h"

namespace haq::server::app {
namespace {

using ::testing::HasSubstr;
namespace worker = haq::internal::v1;

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    settings_.data_dir = folder_.path() / "data";
    settings_.http_port = settings_.grpc_port = settings_.metrics_port = 0;
    settings_.workers = 0;
    settings_.stop_timeout_ms = 1000;
    const auto bytes = artifact::Serialize(test::SmallModel(1)).value();
    artifact_.assign(bytes.begin(), bytes.end());
  }

  // models/m, its datasets and a queued job, as a server before left them.
  void PrepareJob() {
    api::ServiceOptions options;
    options.data_dir = settings_.data_dir;
    const auto service = api::Service::Open(options).value();
    test::PushModel(*service);
    test::PushDataset(*service, "cal", 1);
    test::PushDataset(*service, "eval", 2);
    ASSERT_TRUE(service->calibration_jobs().Create(test::JobRequest()).ok());
  }

  void Start() {
    auto server = Server::Start(settings_);
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    server_ = *std::move(server);
    const auto channel = grpc::CreateChannel(HostPort(settings_.listen, server_->ports().grpc),
                                             grpc::InsecureChannelCredentials());
    inference_ = inference::GRPCInferenceService::NewStub(channel);
    models_ = haq::v1::ModelService::NewStub(channel);
    for (int i = 0; i < 1000 && !server_->Ready(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    ASSERT_TRUE(server_->Ready());
  }

  // Does the queued job as a worker would.
  void FinishJob() {
    const auto stub = worker::WorkerService::NewStub(
        grpc::CreateChannel("unix:" + (settings_.data_dir / "run/worker.sock").string(),
                            grpc::InsecureChannelCredentials()));
    grpc::ClientContext lease_context, write_context, complete_context;
    worker::LeaseJobRequest lease;
    lease.set_worker("test");
    worker::LeaseJobResponse leased;
    ASSERT_TRUE(stub->LeaseJob(&lease_context, lease, &leased).ok());
    ASSERT_TRUE(leased.has_lease());

    worker::WriteArtifactRequest part;
    *part.mutable_lease() = leased.lease();
    part.set_sha256(test::Sha256Hex(artifact_));
    part.set_size_bytes(static_cast<int64_t>(artifact_.size()));
    part.set_data(artifact_);
    worker::WriteArtifactResponse written;
    auto writer = stub->WriteArtifact(&write_context, &written);
    writer->Write(part);
    writer->WritesDone();
    const grpc::Status status = writer->Finish();
    ASSERT_TRUE(status.ok()) << status.error_message();

    worker::CompleteJobRequest complete;
    *complete.mutable_lease() = leased.lease();
    complete.set_artifact_sha256(part.sha256());
    complete.set_report_json("{}");
    worker::CompleteJobResponse completed;
    ASSERT_TRUE(stub->CompleteJob(&complete_context, complete, &completed).ok());
  }

  grpc::Status Infer(std::vector<float>* answers = nullptr) {
    const auto inputs = test::SmallInputs(2);
    inference::ModelInferRequest request;
    request.set_model_name("m");
    auto& input = *request.add_inputs();
    input.set_name("input");
    input.set_datatype("FP32");
    for (const int64_t n : {2, 3, 8, 8}) input.add_shape(n);
    input.mutable_contents()->mutable_fp32_contents()->Add(inputs.begin(), inputs.end());
    grpc::ClientContext context;
    inference::ModelInferResponse response;
    const grpc::Status status = inference_->ModelInfer(&context, request, &response);
    if (answers != nullptr && status.ok()) {
      const auto& values = response.outputs(0).contents().fp32_contents();
      answers->assign(values.begin(), values.end());
    }
    return status;
  }
  void ExpectRightAnswers() {
    std::vector<float> answers;
    const grpc::Status status = Infer(&answers);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(answers, test::DirectAnswers(test::SmallModel(1), test::SmallInputs(2)));
  }

  test::TempFolder folder_;
  Settings settings_;
  std::string artifact_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<inference::GRPCInferenceService::Stub> inference_;
  std::unique_ptr<haq::v1::ModelService::Stub> models_;
};

TEST_F(ServerTest, AFinishedJobIsServedAtOnceAndAfterARestart) {
  PrepareJob();
  Start();
  EXPECT_EQ(Infer().error_code(), grpc::StatusCode::NOT_FOUND);
  FinishJob();
  ExpectRightAnswers();
  server_.reset();
  Start();
  ExpectRightAnswers();
}

TEST_F(ServerTest, ADeletedModelIsNotServed) {
  PrepareJob();
  Start();
  FinishJob();
  ExpectRightAnswers();
  haq::v1::DeleteModelRequest request;
  request.set_name("models/m");
  google::protobuf::Empty empty;
  grpc::ClientContext context;
  ASSERT_TRUE(models_->DeleteModel(&context, request, &empty).ok());
  EXPECT_EQ(Infer().error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServerTest, ABrokenArtifactIsToldAndTheServerGoesOn) {
  PrepareJob();
  Start();
  FinishJob();
  server_.reset();
  std::filesystem::path blob;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(settings_.data_dir / "blobs")) {
    if (entry.path().filename() == test::Sha256Hex(artifact_)) blob = entry.path();
  }
  ASSERT_FALSE(blob.empty());
  std::string damaged = artifact_;
  damaged[damaged.size() / 2] ^= 1;
  ASSERT_TRUE(WriteFileDurably(blob, damaged).ok());
  Start();
  const grpc::Status status = Infer();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("model 'm' could not be loaded: version 1"));
}

TEST_F(ServerTest, ThePortsFileIsThereWhileItRuns) {
  Start();
  const auto path = settings_.data_dir / "run/ports.json";
  EXPECT_EQ(server_->ports_file(), path);
  std::ifstream file(path);
  const auto ports = nlohmann::json::parse(file);
  EXPECT_EQ(ports.at("http"), server_->ports().http);
  EXPECT_EQ(ports.at("grpc"), server_->ports().grpc);
  EXPECT_EQ(ports.at("metrics"), server_->ports().metrics);
  EXPECT_EQ(ports.at("pid"), getpid());
  server_->Stop();
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_FALSE(server_->Ready());
}

TEST_F(ServerTest, WhatCannotBeUsedIsNamed) {
  Start();
  const Ports taken = server_->ports();
  const auto failure = [&](auto change) {
    Settings settings = settings_;
    settings.data_dir = folder_.path() / "other";
    change(settings);
    const auto server = Server::Start(settings);
    EXPECT_FALSE(server.ok());
    return server.status();
  };
  const auto port = [](int number) { return static_cast<uint16_t>(number); };
  const Status statuses[] = {
      failure([&](Settings& s) { s.http_port = port(taken.http); }),
      failure([&](Settings& s) { s.grpc_port = port(taken.grpc); }),
      failure([&](Settings& s) { s.metrics_port = port(taken.metrics); }),
      failure([&](Settings& s) { s.data_dir = settings_.data_dir; }),
      failure([&](Settings& s) { s.data_dir = "/proc/haq-data"; }),
  };
  const char* flags[] = {
      "--http-port: ", "--grpc-port: ", "--metrics-port: ", "--data-dir: ", "--data-dir: "};
  const std::string details[] = {std::to_string(taken.http), std::to_string(taken.grpc),
                                 std::to_string(taken.metrics), settings_.data_dir.string(),
                                 "/proc/haq-data"};
  for (size_t i = 0; i < std::size(statuses); ++i) {
    EXPECT_EQ(statuses[i].code(), StatusCode::kFailedPrecondition) << statuses[i].ToString();
    EXPECT_THAT(statuses[i].message(), ::testing::StartsWith(flags[i]));
    EXPECT_THAT(statuses[i].message(), HasSubstr(details[i]));
  }
  const Status binary = failure([](Settings& s) {
    s.workers = 1;
    s.worker_binary = "/nothing/haq-worker";
  });
  EXPECT_EQ(binary.code(), StatusCode::kNotFound);
  EXPECT_THAT(binary.message(), ::testing::StartsWith("--worker-binary"));
  EXPECT_EQ(Infer().error_code(), grpc::StatusCode::NOT_FOUND);
}

}  // namespace
}  // namespace haq::server::app
