// What goes beyond the protocol's core: quantized tensors, classes, streams, Triton's extensions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "tests/unit/server/rpc/inference_fixture.h"

namespace haq::server::rpc {
namespace {

using inference::ModelInferRequest;
using inference::ModelInferResponse;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class InferenceExtensionsTest : public InferenceServiceTest {
 protected:
  // The levels of inputs_ and the output, worked out from the artifact alone.
  static std::vector<int> Levels(const std::vector<float>& values, const artifact::Tensor& tensor) {
    std::vector<int> levels;
    for (const float value : values) {
      const double level = std::nearbyint(value / tensor.scale) + tensor.zero_point;
      levels.push_back(static_cast<int>(std::clamp(level, 0.0, 255.0)));
    }
    return levels;
  }
  const artifact::Tensor& input() const { return model_.tensors[model_.input]; }
  const artifact::Tensor& output() const { return model_.tensors[model_.output]; }

  // What the network answers to exactly these levels.
  std::vector<float> AnswersToLevels(const std::vector<int>& levels) const {
    std::vector<float> reals;
    for (const int level : levels) {
      reals.push_back(static_cast<float>(level - input().zero_point) * input().scale);
    }
    return test::DirectAnswers(model_, reals);
  }
  static ModelInferRequest WithOutput(ModelInferRequest request, const std::string& parameter,
                                      const std::string& text, int64_t number = 0) {
    auto& output = *request.add_outputs();
    output.set_name("output");
    auto& value = (*output.mutable_parameters())[parameter];
    if (text.empty()) {
      value.set_int64_param(number);
    } else {
      value.set_string_param(text);
    }
    return request;
  }
  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (inference::GRPCInferenceService::Stub::*method)(
                        grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext context;
    return (stub_.get()->*method)(&context, request, response);
  }
  using Stub = inference::GRPCInferenceService::Stub;
};

TEST_F(InferenceExtensionsTest, QuantizedInputsGiveTheSameBits) {
  const auto levels = Levels(inputs_, input());
  const auto expected = AnswersToLevels(levels);
  const std::string unsigned_bytes(levels.begin(), levels.end());
  std::string signed_bytes;
  for (const int level : levels) signed_bytes += static_cast<char>(level - 128);

  auto request = Request("UINT8", {3, 3, 8, 8});
  request.add_raw_input_contents(unsigned_bytes);
  EXPECT_EQ(FromRaw(Infer(request).raw_output_contents(0)), expected);
  request = Request("INT8", {3, 3, 8, 8});
  request.add_raw_input_contents(signed_bytes);
  EXPECT_EQ(FromRaw(Infer(request).raw_output_contents(0)), expected);

  request = Request("UINT8", {3, 3, 8, 8});
  for (const int level : levels) {
    request.mutable_inputs(0)->mutable_contents()->add_uint_contents(static_cast<uint32_t>(level));
  }
  EXPECT_THAT(Infer(request).outputs(0).contents().fp32_contents(),
              ::testing::ElementsAreArray(expected));
  request = Request("INT8", {3, 3, 8, 8});
  for (const int level : levels) {
    request.mutable_inputs(0)->mutable_contents()->add_int_contents(level - 128);
  }
  EXPECT_THAT(Infer(request).outputs(0).contents().fp32_contents(),
              ::testing::ElementsAreArray(expected));
}

TEST_F(InferenceExtensionsTest, QuantizedInputsThatDoNotFitAreNamed) {
  auto request = Request("UINT8", {1, 3, 8, 8});
  request.mutable_inputs(0)->mutable_contents()->add_uint_contents(256);
  ExpectInvalid(request, "inputs[0].contents.uint_contents", "value 0 is 256; UINT8 has 0 to 255");
  request = Request("INT8", {1, 3, 8, 8});
  request.mutable_inputs(0)->mutable_contents()->add_int_contents(-129);
  ExpectInvalid(request, "inputs[0].contents.int_contents",
                "value 0 is -129; INT8 has -128 to 127");
  request = Request("UINT8", {1, 3, 8, 8});
  request.mutable_inputs(0)->mutable_contents()->add_fp32_contents(1);
  ExpectInvalid(request, "inputs[0].contents.fp32_contents",
                "must be empty; datatype UINT8 takes uint_contents");
  request = Request("INT8", {1, 3, 8, 8});
  request.add_raw_input_contents("xy");
  ExpectInvalid(request, "raw_input_contents[0]",
                "has 2 bytes; shape [1, 3, 8, 8] of INT8 takes 192");
}

TEST_F(InferenceExtensionsTest, OutputsComeAsTheirLevels) {
  const auto levels = Levels(expected_, output());
  auto answer = Infer(WithOutput(TypedFloats(inputs_), "datatype", "UINT8"));
  EXPECT_EQ(answer.outputs(0).datatype(), "UINT8");
  EXPECT_THAT(answer.outputs(0).shape(), ElementsAre(3, 5));
  EXPECT_THAT(answer.outputs(0).contents().uint_contents(), ::testing::ElementsAreArray(levels));
  EXPECT_THAT(answer.outputs(0).contents().fp32_contents(), SizeIs(0));

  auto raw = Request("FP32", {3, 3, 8, 8});
  raw.add_raw_input_contents(RawFloats(inputs_));
  answer = Infer(WithOutput(raw, "datatype", "INT8"));
  EXPECT_EQ(answer.outputs(0).datatype(), "INT8");
  std::vector<int> received;
  for (const char c : answer.raw_output_contents(0)) received.push_back(c + 128);
  EXPECT_EQ(received, levels);
  answer = Infer(WithOutput(TypedFloats(inputs_), "datatype", "INT8"));
  received.clear();
  for (const int value : answer.outputs(0).contents().int_contents())
    received.push_back(value + 128);
  EXPECT_EQ(received, levels);

  ExpectInvalid(WithOutput(TypedFloats(inputs_), "datatype", "FP16"),
                "outputs[0].parameters.datatype", "is 'FP16'; allowed are FP32, UINT8 and INT8");
  ExpectInvalid(WithOutput(TypedFloats(inputs_), "datatype", "", 3),
                "outputs[0].parameters.datatype", "must be a string");
}

TEST_F(InferenceExtensionsTest, ClassificationGivesTheBestClassesWithTheirLabels) {
  const auto answer = Infer(WithOutput(TypedFloats(inputs_), "classification", "", 2));
  EXPECT_EQ(answer.outputs(0).datatype(), "BYTES");
  EXPECT_THAT(answer.outputs(0).shape(), ElementsAre(3, 2));
  const auto& elements = answer.outputs(0).contents().bytes_contents();
  ASSERT_EQ(elements.size(), 6);
  for (size_t i = 0; i < 3; ++i) {
    const float* const scores = expected_.data() + i * test::kSmallClasses;
    std::vector<int> order = {0, 1, 2, 3, 4};
    std::stable_sort(order.begin(), order.end(),
                     [&](int a, int b) { return scores[a] > scores[b]; });
    for (size_t k = 0; k < 2; ++k) {
      EXPECT_EQ(elements[static_cast<int>(i * 2 + k)],
                fmt::format("{:.6f}:{}:{}", scores[order[k]], order[k],
                            model_.class_names[static_cast<size_t>(order[k])]));
    }
  }
  EXPECT_THAT(Infer(WithOutput(TypedFloats(inputs_), "classification", "", 99)).outputs(0).shape(),
              ElementsAre(3, 5))
      << "more than there are is all of them";

  auto raw = Request("FP32", {3, 3, 8, 8});
  raw.add_raw_input_contents(RawFloats(inputs_));
  EXPECT_EQ(Infer(WithOutput(raw, "classification", "", 2)).raw_output_contents(0),
            RawElements({elements.begin(), elements.end()}));
  ExpectInvalid(WithOutput(TypedFloats(inputs_), "classification", "many"),
                "outputs[0].parameters.classification", "must be an integer");
}

TEST_F(InferenceExtensionsTest, StreamsAnswerInOrderAndGoOnAfterAFailure) {
  grpc::ClientContext context;
  const auto stream = stub_->ModelStreamInfer(&context);
  constexpr int kRequests = 100;  // more than are under way at a time
  std::thread writer([&] {
    for (int i = 0; i < kRequests; ++i) {
      auto request = TypedFloats(inputs_);
      request.set_id(std::to_string(i));
      if (i % 10 == 3) request.set_model_name("other");
      (*request.mutable_parameters())["triton_enable_empty_final_response"].set_bool_param(i == 0);
      EXPECT_TRUE(stream->Write(request));
    }
    stream->WritesDone();
  });
  inference::ModelStreamInferResponse answer;
  for (int i = 0; i < kRequests; ++i) {
    ASSERT_TRUE(stream->Read(&answer)) << i;
    EXPECT_EQ(answer.infer_response().id(), std::to_string(i));
    EXPECT_EQ(answer.infer_response().parameters().contains("triton_final_response"), i == 0);
    if (i % 10 == 3) {
      EXPECT_THAT(answer.error_message(), HasSubstr("no model 'other'"));
      EXPECT_THAT(answer.infer_response().outputs(), SizeIs(0));
    } else {
      EXPECT_EQ(answer.error_message(), "");
      EXPECT_THAT(answer.infer_response().outputs(0).contents().fp32_contents(),
                  ::testing::ElementsAreArray(expected_));
    }
  }
  EXPECT_FALSE(stream->Read(&answer));
  writer.join();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(InferenceExtensionsTest, AStreamThatIsGivenUpEnds) {
  engine_.Hold("small");
  {
    grpc::ClientContext context;
    const auto stream = stub_->ModelStreamInfer(&context);
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(stream->Write(TypedFloats(inputs_)));
    context.TryCancel();
    inference::ModelStreamInferResponse answer;
    EXPECT_FALSE(stream->Read(&answer));
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  // Its requests have left the queue, or the server could not end.
  server_->Shutdown();
  server_->Wait();
  EXPECT_THAT(metrics_.Scrape(), HasSubstr(R"(haq_inference_queue_requests{model="small"} 0)"));
  engine_.Release("small");
}

TEST_F(InferenceExtensionsTest, TheConfigurationSaysHowRequestsAreScheduled) {
  inference::ModelConfigRequest request;
  request.set_name("small");
  inference::ModelConfigResponse response;
  ASSERT_TRUE(Call(&Stub::ModelConfig, request, &response).ok());
  const auto& config = response.config();
  EXPECT_EQ(config.name(), "small");
  EXPECT_EQ(config.max_batch_size(), 10);
  ASSERT_EQ(config.input_size(), 1);
  EXPECT_EQ(config.input(0).data_type(), inference::TYPE_FP32);
  EXPECT_THAT(config.input(0).dims(), ElementsAre(3, 8, 8));
  EXPECT_THAT(config.output(0).dims(), ElementsAre(5));
  EXPECT_THAT(config.dynamic_batching().preferred_batch_size(), ElementsAre(8));
  EXPECT_EQ(config.dynamic_batching().priority_levels(), 3u);
  EXPECT_EQ(config.dynamic_batching().default_queue_policy().max_queue_size(), 256u);
  EXPECT_FALSE(config.model_transaction_policy().decoupled());
  EXPECT_THAT(config.version_policy().specific().versions(), ElementsAre(3));
  request.set_version("2");
  EXPECT_EQ(Call(&Stub::ModelConfig, request, &response).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(InferenceExtensionsTest, StatisticsCountRequestsAndBatches) {
  Infer(TypedFloats(inputs_));
  Infer(TypedFloats(inputs_));
  auto wrong = TypedFloats(inputs_);
  wrong.mutable_inputs(0)->set_name("x");
  ExpectFailure(wrong, grpc::StatusCode::INVALID_ARGUMENT, "inputs[0].name");
  inference::ModelStatisticsResponse response;
  ASSERT_TRUE(Call(&Stub::ModelStatistics, inference::ModelStatisticsRequest(), &response).ok());
  ASSERT_EQ(response.model_stats_size(), 1);
  const auto& stats = response.model_stats(0);
  EXPECT_EQ(stats.name(), "small");
  EXPECT_EQ(stats.version(), "3");
  EXPECT_EQ(stats.inference_count(), 6u);
  EXPECT_EQ(stats.execution_count(), 2u);
  EXPECT_GT(stats.last_inference(), 1'600'000'000'000u);
  EXPECT_EQ(stats.inference_stats().success().count(), 2u);
  EXPECT_EQ(stats.inference_stats().fail().count(), 1u);
  EXPECT_GT(stats.inference_stats().compute_infer().ns(), 0u);
  EXPECT_GE(stats.inference_stats().success().ns(), stats.inference_stats().compute_infer().ns());
  ASSERT_EQ(stats.batch_stats_size(), 1);
  EXPECT_EQ(stats.batch_stats(0).batch_size(), 3u);
  EXPECT_EQ(stats.batch_stats(0).compute_infer().count(), 2u);

  inference::ModelStatisticsRequest other;
  other.set_name("other");
  EXPECT_EQ(Call(&Stub::ModelStatistics, other, &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(InferenceExtensionsTest, ModelsAreUnloadedAndLoadedAgain) {
  const auto index = [this](bool ready) {
    inference::RepositoryIndexRequest request;
    request.set_ready(ready);
    inference::RepositoryIndexResponse response;
    EXPECT_TRUE(Call(&Stub::RepositoryIndex, request, &response).ok());
    std::string text;
    for (const auto& model : response.models()) {
      text +=
          model.name() + " " + model.version() + " " + model.state() + " " + model.reason() + ";";
    }
    return text;
  };
  EXPECT_EQ(index(true), "small 3 READY ;");
  inference::RepositoryModelUnloadRequest unload;
  inference::RepositoryModelUnloadResponse unloaded;
  unload.set_model_name("small");
  EXPECT_TRUE(Call(&Stub::RepositoryModelUnload, unload, &unloaded).ok());
  EXPECT_EQ(index(false), "small 3 UNAVAILABLE unloaded;");
  EXPECT_EQ(index(true), "");
  ExpectFailure(TypedFloats(inputs_), grpc::StatusCode::UNAVAILABLE, "was unloaded");

  inference::RepositoryModelLoadRequest load;
  inference::RepositoryModelLoadResponse loaded;
  load.set_model_name("small");
  EXPECT_TRUE(Call(&Stub::RepositoryModelLoad, load, &loaded).ok());
  EXPECT_EQ(index(true), "small 3 READY ;");
  EXPECT_EQ(Infer(TypedFloats(inputs_)).model_version(), "3");

  (*load.mutable_parameters())["config"].set_string_param("{}");
  EXPECT_EQ(Call(&Stub::RepositoryModelLoad, load, &loaded).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
  load.clear_parameters();
  load.set_model_name("other");
  unload.set_model_name("other");
  EXPECT_EQ(Call(&Stub::RepositoryModelLoad, load, &loaded).error_code(),
            grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Call(&Stub::RepositoryModelUnload, unload, &unloaded).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(InferenceExtensionsTest, ALoadThatFailsSaysWhy) {
  loader_.OnVersionRegistered("bad", 4, folder_.SaveBroken("b.haq"));
  inference::RepositoryModelLoadRequest load;
  inference::RepositoryModelLoadResponse loaded;
  load.set_model_name("bad");
  const auto status = Call(&Stub::RepositoryModelLoad, load, &loaded);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_THAT(status.error_message(), HasSubstr("version 4 of model 'bad'"));
}

}  // namespace
}  // namespace haq::server::rpc
