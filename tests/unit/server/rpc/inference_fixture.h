// The inference service behind a real gRPC server and client, with one small model.
#pragma once

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/rpc/inference_service.h"
#include "tests/unit/server/serving/test_model.h"

namespace haq::server::rpc {

inline std::string RawFloats(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

inline std::vector<float> FromRaw(const std::string& raw) {
  std::vector<float> values(raw.size() / sizeof(float));
  std::memcpy(values.data(), raw.data(), raw.size());
  return values;
}

inline std::string RawElements(const std::vector<std::string>& elements) {
  std::string raw;
  for (const std::string& element : elements) {
    const auto length = static_cast<uint32_t>(element.size());
    for (int shift = 0; shift < 32; shift += 8) raw += static_cast<char>(length >> shift);
    raw += element;
  }
  return raw;
}

class InferenceServiceTest : public ::testing::Test {
 protected:
  InferenceServiceTest() {
    loader_.OnVersionRegistered("small", 3, folder_.Save(model_, "a.haq"));
    while (!loader_.Idle()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_TRUE(repository_.Acquire("small", "3").ok());
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = inference::GRPCInferenceService::NewStub(grpc::CreateChannel(
        "127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials()));
  }
  ~InferenceServiceTest() override {
    server_->Shutdown();
    server_->Wait();
  }

  static inference::ModelInferRequest Request(const std::string& datatype,
                                              std::vector<int64_t> shape) {
    inference::ModelInferRequest request;
    request.set_model_name("small");
    auto& input = *request.add_inputs();
    input.set_name("input");
    input.set_datatype(datatype);
    input.mutable_shape()->Add(shape.begin(), shape.end());
    return request;
  }
  static inference::ModelInferRequest TypedFloats(const std::vector<float>& values) {
    auto request =
        Request("FP32", {static_cast<int64_t>(values.size()) / test::kSmallInput, 3, 8, 8});
    request.mutable_inputs(0)->mutable_contents()->mutable_fp32_contents()->Add(values.begin(),
                                                                                values.end());
    return request;
  }
  inference::ModelInferResponse Infer(const inference::ModelInferRequest& request) {
    grpc::ClientContext context;
    inference::ModelInferResponse response;
    const grpc::Status status = stub_->ModelInfer(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  void ExpectFailure(const inference::ModelInferRequest& request, grpc::StatusCode code,
                     const std::string& message, const std::string& field = "") {
    grpc::ClientContext context;
    inference::ModelInferResponse response;
    const grpc::Status status = stub_->ModelInfer(&context, request, &response);
    EXPECT_EQ(status.error_code(), code) << status.error_message();
    EXPECT_THAT(status.error_message(), ::testing::HasSubstr(message));
    if (field.empty()) return;
    google::rpc::Status details;
    google::rpc::BadRequest bad;
    ASSERT_TRUE(details.ParseFromString(status.error_details()));
    ASSERT_EQ(details.details_size(), 1);
    ASSERT_TRUE(details.details(0).UnpackTo(&bad));
    EXPECT_EQ(bad.field_violations(0).field(), field);
  }
  void ExpectInvalid(const inference::ModelInferRequest& request, const std::string& field,
                     const std::string& message) {
    ExpectFailure(request, grpc::StatusCode::INVALID_ARGUMENT, field + ": " + message, field);
  }

  const artifact::Model model_ = test::SmallModel(1);
  const std::vector<float> inputs_ = test::SmallInputs(3);
  const std::vector<float> expected_ = test::DirectAnswers(model_, inputs_);
  bool ready_ = true;
  test::ModelFolder folder_;
  metrics::Metrics metrics_;
  const serving::Settings settings_{.threads = 2, .max_batch = 10};
  serving::Repository repository_{settings_, metrics_};
  serving::Engine engine_{settings_, repository_, metrics_};
  serving::Loader loader_{repository_, engine_};
  InferenceService service_{engine_, repository_, loader_, metrics_, [this] { return ready_; }};
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<inference::GRPCInferenceService::Stub> stub_;
};

}  // namespace haq::server::rpc
