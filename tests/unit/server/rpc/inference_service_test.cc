#include "server/rpc/inference_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "core/base/file.h"
#include "core/base/sha256.h"
#include "core/base/version.h"
#include "tests/unit/server/rpc/inference_fixture.h"

namespace haq::server::rpc {
namespace {

using inference::ModelInferRequest;
using inference::ModelInferResponse;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_F(InferenceServiceTest, TypedFloatsComeBackTyped) {
  auto request = TypedFloats(inputs_);
  request.set_id("my id");
  request.add_outputs()->set_name("output");
  const auto response = Infer(request);
  EXPECT_EQ(response.model_name(), "small");
  EXPECT_EQ(response.model_version(), "3");
  EXPECT_EQ(response.id(), "my id");
  ASSERT_EQ(response.outputs_size(), 1);
  EXPECT_EQ(response.outputs(0).name(), "output");
  EXPECT_EQ(response.outputs(0).datatype(), "FP32");
  EXPECT_THAT(response.outputs(0).shape(), ElementsAre(3, 5));
  EXPECT_THAT(response.outputs(0).contents().fp32_contents(), ElementsAreArray(expected_));
  EXPECT_THAT(response.raw_output_contents(), IsEmpty());
}

TEST_F(InferenceServiceTest, RawFloatsComeBackRaw) {
  auto request = Request("FP32", {3, 3, 8, 8});
  request.set_model_version("3");
  request.add_raw_input_contents(RawFloats(inputs_));
  const auto response = Infer(request);
  ASSERT_EQ(response.raw_output_contents_size(), 1);
  EXPECT_EQ(FromRaw(response.raw_output_contents(0)), expected_);
  EXPECT_FALSE(response.outputs(0).has_contents());
  EXPECT_THAT(response.outputs(0).shape(), ElementsAre(3, 5));
  EXPECT_EQ(response.id(), "");
}

TEST_F(InferenceServiceTest, ImagesGiveWhatTheirTensorsGive) {
  const auto images = test::SmallPngs(4);
  const auto expected = test::DirectAnswers(model_, test::Preprocessed(model_, images));
  for (const auto& shape : {std::vector<int64_t>{4}, std::vector<int64_t>{4, 1}}) {
    auto typed = Request("BYTES", shape);
    for (const std::string& image : images) {
      typed.mutable_inputs(0)->mutable_contents()->add_bytes_contents(image);
    }
    EXPECT_THAT(Infer(typed).outputs(0).contents().fp32_contents(), ElementsAreArray(expected));
    auto raw = Request("BYTES", shape);
    raw.add_raw_input_contents(RawElements(images));
    EXPECT_EQ(FromRaw(Infer(raw).raw_output_contents(0)), expected);
  }
}

TEST_F(InferenceServiceTest, NamesThatDoNotExist) {
  auto request = TypedFloats(inputs_);
  request.set_model_name("other");
  ExpectFailure(request, grpc::StatusCode::NOT_FOUND, "model_name: no model 'other' is served",
                "model_name");
  request = TypedFloats(inputs_);
  request.set_model_version("4");
  ExpectFailure(request, grpc::StatusCode::NOT_FOUND, "version '4' of model 'small'",
                "model_version");
  request = TypedFloats(inputs_);
  request.mutable_inputs(0)->set_name("data");
  ExpectInvalid(request, "inputs[0].name", "the model has no input 'data', only 'input'");
  request = TypedFloats(inputs_);
  request.add_outputs()->set_name("logits");
  ExpectInvalid(request, "outputs[0].name", "the model has no output 'logits', only 'output'");
  request = TypedFloats(inputs_);
  *request.add_inputs() = request.inputs(0);
  ExpectInvalid(request, "inputs", "the model has one input, 'input', and the request has 2");
  request.clear_inputs();
  ExpectInvalid(request, "inputs", "the model has one input, 'input', and the request has 0");
}

TEST_F(InferenceServiceTest, ShapesAndDatatypes) {
  auto request = Request("FP32", {3, 8, 8});
  ExpectInvalid(request, "inputs[0].shape", "is [3, 8, 8], but the model takes [N, 3, 8, 8]");
  request = Request("FP16", {1, 3, 8, 8});
  ExpectInvalid(request, "inputs[0].datatype", "'FP16' is not supported");
  request = Request("", {1, 3, 8, 8});
  ExpectInvalid(request, "inputs[0].datatype", "'' is not supported");
  request = Request("BYTES", {2, 3, 8, 8});
  ExpectInvalid(request, "inputs[0].shape", "is [2, 3, 8, 8], but BYTES");
}

TEST_F(InferenceServiceTest, ContentsOfTheWrongField) {
  auto request = TypedFloats(inputs_);
  request.mutable_inputs(0)->mutable_contents()->add_fp64_contents(1);
  ExpectInvalid(request, "inputs[0].contents.fp64_contents",
                "must be empty; datatype FP32 takes fp32_contents");
  request = TypedFloats(inputs_);
  request.mutable_inputs(0)->set_datatype("BYTES");
  ExpectInvalid(request, "inputs[0].contents.fp32_contents",
                "must be empty; datatype BYTES takes bytes_contents");
}

TEST_F(InferenceServiceTest, RawAndTypedDoNotMix) {
  auto request = TypedFloats(inputs_);
  request.add_raw_input_contents(RawFloats(inputs_));
  ExpectInvalid(request, "inputs[0].contents", "must not be set beside raw_input_contents");
  request = Request("FP32", {3, 3, 8, 8});
  request.add_raw_input_contents(RawFloats(inputs_));
  request.add_raw_input_contents("");
  ExpectInvalid(request, "raw_input_contents", "has 2 entries for 1 inputs");
}

TEST_F(InferenceServiceTest, LengthsThatDisagree) {
  auto request = TypedFloats(inputs_);
  request.mutable_inputs(0)->mutable_contents()->add_fp32_contents(0);
  ExpectInvalid(request, "inputs[0].contents.fp32_contents",
                "has 577 values; shape [3, 3, 8, 8] takes 576");
  request = Request("FP32", {3, 3, 8, 8});
  ExpectInvalid(request, "inputs[0].contents.fp32_contents", "has 0 values");
  request.add_raw_input_contents(RawFloats(inputs_) + "x");
  ExpectInvalid(request, "raw_input_contents[0]", "has 2305 bytes");
  request = Request("BYTES", {2});
  request.add_raw_input_contents(RawElements(test::SmallPngs(1)));
  ExpectInvalid(request, "raw_input_contents[0]", "ends before the length of element 1 of 2");
}

TEST_F(InferenceServiceTest, BatchesAreBounded) {
  auto request = Request("FP32", {0, 3, 8, 8});
  ExpectInvalid(request, "inputs[0].shape", "a batch must have at least one sample, this has 0");
  ExpectFailure(TypedFloats(test::SmallInputs(11)), grpc::StatusCode::RESOURCE_EXHAUSTED,
                "inputs[0].shape: a batch of 11 is over the limit of 10", "inputs[0].shape");
}

TEST_F(InferenceServiceTest, AnImageThatIsNone) {
  auto request = Request("BYTES", {2});
  request.mutable_inputs(0)->mutable_contents()->add_bytes_contents(test::SmallPngs(1)[0]);
  request.mutable_inputs(0)->mutable_contents()->add_bytes_contents("GIF89a");
  ExpectFailure(request, grpc::StatusCode::INVALID_ARGUMENT, "inputs[0]: image 1: ");
}

TEST_F(InferenceServiceTest, ParametersThatWouldChangeTheAnswerAreRefused) {
  auto request = TypedFloats(inputs_);
  (*request.mutable_parameters())["priority"].set_int64_param(1);
  EXPECT_EQ(Infer(request).outputs_size(), 1);
  auto& output = *request.add_outputs();
  output.set_name("output");
  (*output.mutable_parameters())["shared_memory_region"].set_string_param("r");
  ExpectInvalid(request, "outputs[0].parameters.shared_memory_region", "shared memory");
  request.clear_outputs();
  (*request.mutable_inputs(0)->mutable_parameters())["shared_memory_region"].set_string_param("r");
  ExpectInvalid(request, "inputs[0].parameters.shared_memory_region", "shared memory");
}

TEST_F(InferenceServiceTest, MetadataDescribesTheModel) {
  grpc::ClientContext context;
  inference::ModelMetadataRequest request;
  request.set_name("small");
  inference::ModelMetadataResponse response;
  ASSERT_TRUE(stub_->ModelMetadata(&context, request, &response).ok());
  EXPECT_EQ(response.name(), "small");
  EXPECT_THAT(response.versions(), ElementsAre("3"));
  EXPECT_EQ(response.platform(), "haq_int8");
  ASSERT_EQ(response.inputs_size(), 1);
  EXPECT_EQ(response.inputs(0).name(), "input");
  EXPECT_EQ(response.inputs(0).datatype(), "FP32");
  EXPECT_THAT(response.inputs(0).shape(), ElementsAre(-1, 3, 8, 8));
  ASSERT_EQ(response.outputs_size(), 1);
  EXPECT_EQ(response.outputs(0).name(), "output");
  EXPECT_THAT(response.outputs(0).shape(), ElementsAre(-1, 5));
  const auto& properties = response.properties();
  EXPECT_THAT(properties.at("preprocess"), HasSubstr("\"center_crop\""));
  EXPECT_EQ(properties.at("class_names"), "5");
  EXPECT_EQ(properties.at("artifact_sha256"), ToHex(Sha256Of(*ReadFile(folder_.path() / "a.haq"))));
  EXPECT_FALSE(properties.at("kernels").empty());
  EXPECT_EQ(properties.at("max_batch"), "10");

  grpc::ClientContext other;
  request.set_name("other");
  const auto status = stub_->ModelMetadata(&other, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(status.error_message(), HasSubstr("'other'"));
}

TEST_F(InferenceServiceTest, HealthOfServerAndModels) {
  const auto model_ready = [this](const std::string& name, const std::string& version) {
    grpc::ClientContext context;
    inference::ModelReadyRequest request;
    request.set_name(name);
    if (!version.empty()) request.set_version(version);
    inference::ModelReadyResponse response;
    EXPECT_TRUE(stub_->ModelReady(&context, request, &response).ok());
    return response.ready();
  };
  EXPECT_TRUE(model_ready("small", ""));
  EXPECT_TRUE(model_ready("small", "3"));
  EXPECT_FALSE(model_ready("small", "2"));
  EXPECT_FALSE(model_ready("other", ""));
  repository_.Announce("bad", 1);
  EXPECT_FALSE(repository_.Load("bad", 1, folder_.SaveBroken("b.haq")).ok());
  EXPECT_FALSE(model_ready("bad", ""));

  for (const bool ready : {true, false}) {
    ready_ = ready;
    grpc::ClientContext live_context, ready_context;
    inference::ServerLiveResponse live;
    inference::ServerReadyResponse is_ready;
    ASSERT_TRUE(stub_->ServerLive(&live_context, {}, &live).ok());
    ASSERT_TRUE(stub_->ServerReady(&ready_context, {}, &is_ready).ok());
    EXPECT_TRUE(live.live());
    EXPECT_EQ(is_ready.ready(), ready);
  }
  grpc::ClientContext context;
  inference::ServerMetadataResponse metadata;
  ASSERT_TRUE(stub_->ServerMetadata(&context, {}, &metadata).ok());
  EXPECT_EQ(metadata.name(), "haq");
  EXPECT_EQ(metadata.version(), kVersion);
  EXPECT_THAT(metadata.extensions(), Contains("statistics"));
}

TEST_F(InferenceServiceTest, RequestsAreCounted) {
  Infer(TypedFloats(inputs_));
  auto request = TypedFloats(inputs_);
  request.mutable_inputs(0)->set_name("x");
  ExpectFailure(request, grpc::StatusCode::INVALID_ARGUMENT, "inputs[0].name");
  request.set_model_name("guess");
  ExpectFailure(request, grpc::StatusCode::NOT_FOUND, "guess");
  const std::string text = metrics_.Scrape();
  for (
      const char* line :
      {R"(haq_inference_requests_total{code="OK",model="small"} 1)",
       R"(haq_inference_requests_total{code="INVALID_ARGUMENT",model="small"} 1)",
       R"(haq_inference_requests_total{code="NOT_FOUND",model="_unknown"} 1)",
       R"(haq_inference_images_total{model="small"} 3)",
       R"(haq_inference_compute_duration_seconds_count{model="small"} 1)",
       R"(haq_inference_request_duration_seconds_count{model="small"} 2)",
       R"(haq_grpc_requests_total{code="OK",method="/inference.GRPCInferenceService/ModelInfer"} 1)"}) {
    EXPECT_THAT(text, HasSubstr(std::string(line) + "\n"));
  }
}

// True once a scrape has the line; false after ten seconds.
bool ComesToSay(const metrics::Metrics& metrics, const std::string& line) {
  for (int i = 0; i < 2000; ++i) {
    if (metrics.Scrape().find(line + "\n") != std::string::npos) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

TEST_F(InferenceServiceTest, ARequestThatWasGivenUpLeavesTheQueueAtOnce) {
  const std::string queue = R"(haq_inference_queue_requests{model="small"})";
  engine_.Hold("small");
  grpc::ClientContext context;
  std::thread client([&] {
    ModelInferResponse response;
    EXPECT_EQ(stub_->ModelInfer(&context, TypedFloats(inputs_), &response).error_code(),
              grpc::StatusCode::CANCELLED);
  });
  EXPECT_TRUE(ComesToSay(metrics_, queue + " 1"));
  context.TryCancel();
  EXPECT_TRUE(ComesToSay(metrics_, queue + " 0"));
  EXPECT_TRUE(
      ComesToSay(metrics_, R"(haq_inference_requests_total{code="CANCELLED",model="small"} 1)"));
  client.join();
  engine_.Release("small");
}

TEST_F(InferenceServiceTest, ARequestThatIsLateIsNotRun) {
  engine_.Hold("small");
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
  ModelInferResponse response;
  EXPECT_EQ(stub_->ModelInfer(&context, TypedFloats(inputs_), &response).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(ComesToSay(metrics_, R"(haq_inference_queue_requests{model="small"} 0)"));
  auto request = TypedFloats(inputs_);
  (*request.mutable_parameters())["timeout"].set_int64_param(10'000);
  ExpectFailure(request, grpc::StatusCode::DEADLINE_EXCEEDED, "before the request could start");
  engine_.Release("small");
  EXPECT_EQ(Infer(TypedFloats(inputs_)).model_version(), "3");
}

TEST_F(InferenceServiceTest, PriorityAndTimeoutAreChecked) {
  auto request = TypedFloats(inputs_);
  auto& parameters = *request.mutable_parameters();
  parameters["priority"].set_uint64_param(1);
  parameters["timeout"].set_int64_param(60'000'000);
  Infer(request);
  parameters["priority"].set_int64_param(4);
  ExpectInvalid(request, "parameters.priority", "is 4; allowed are 1 (highest) to 3");
  parameters["priority"].set_string_param("high");
  ExpectInvalid(request, "parameters.priority", "must be an integer that is not negative");
  parameters.erase("priority");
  parameters["timeout"].set_int64_param(-1);
  ExpectInvalid(request, "parameters.timeout", "must be an integer that is not negative");
}

TEST_F(InferenceServiceTest, ManyClientsGetTheirOwnAnswers) {
  std::atomic<int> good = 0;
  std::vector<std::thread> clients;
  for (uint64_t c = 0; c < 4; ++c) {
    clients.emplace_back([&, c] {
      const auto inputs = test::SmallInputs(static_cast<int64_t>(c) + 1, c);
      const auto expected = test::DirectAnswers(model_, inputs);
      for (int i = 0; i < 25; ++i) {
        auto request = Request("FP32", {static_cast<int64_t>(c) + 1, 3, 8, 8});
        request.add_raw_input_contents(RawFloats(inputs));
        good += FromRaw(Infer(request).raw_output_contents(0)) == expected;
      }
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(good, 100);
}

}  // namespace
}  // namespace haq::server::rpc
