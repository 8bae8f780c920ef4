#include "server/serving/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/ranges.h>

#include <atomic>
#include <future>

#include "tests/unit/server/serving/test_model.h"

namespace haq::server::serving {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Prefixed(const std::vector<std::string>& elements) {
  std::string raw;
  for (const std::string& element : elements) {
    const auto length = static_cast<uint32_t>(element.size());
    raw.append(reinterpret_cast<const char*>(&length), 4);
    raw += element;
  }
  return raw;
}

RawContent Raw(const std::string& bytes) {
  return {{reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}};
}

class EngineTest : public ::testing::Test {
 protected:
  EngineTest() {
    repository_.Announce("small", 1);
    const Status status = repository_.Load("small", 1, folder_.Save(model_, "a.haq"));
    EXPECT_TRUE(status.ok()) << status.ToString();
  }
  static Request Floats(const std::vector<float>& values, std::vector<int64_t> shape) {
    return {.model = "small",
            .version = "",
            .inputs = {{"input", "FP32", std::move(shape), FloatContent(values)}},
            .outputs = {},
            .cancellation = {}};
  }
  static Request Images(const std::vector<std::string>& images, std::vector<int64_t> shape) {
    return {.model = "small",
            .version = "",
            .inputs = {{"input", "BYTES", std::move(shape),
                        BytesContent(images.begin(), images.end())}},
            .outputs = {},
            .cancellation = {}};
  }
  Result<Response> Infer(const Request& request) { return Infer(engine_, request); }
  static Result<Response> Infer(Engine& engine, const Request& request) {
    std::promise<Result<Response>> promise;
    engine.Infer(request, [&](Result<Response> r) { promise.set_value(std::move(r)); });
    return promise.get_future().get();
  }
  void ExpectFailure(const Request& request, StatusCode code, const std::string& message) {
    const auto response = Infer(request);
    EXPECT_EQ(response.status().code(), code) << response.status().ToString();
    EXPECT_THAT(response.status().message(), HasSubstr(message));
  }

  const artifact::Model model_ = test::SmallModel(1);
  test::ModelFolder folder_;
  metrics::Metrics metrics_;
  Settings settings_{.threads = 2, .max_batch = 20, .session_batch = 8, .max_image_bytes = 4096};
  Repository repository_{settings_, metrics_};
  Engine engine_{settings_, repository_, metrics_};
};

TEST_F(EngineTest, EveryBatchGivesTheRuntimesBits) {
  for (const int64_t batch : {1, 7, 8, 9, 20}) {
    const auto inputs = test::SmallInputs(batch);
    const auto response = Infer(Floats(inputs, {batch, 3, 8, 8}));
    ASSERT_TRUE(response.ok()) << response.status().ToString();
    EXPECT_EQ(response->model, "small");
    EXPECT_EQ(response->version, "1");
    EXPECT_EQ(response->images, batch);
    ASSERT_EQ(response->outputs.size(), 1u);
    EXPECT_EQ(response->outputs[0].name, "output");
    EXPECT_EQ(response->outputs[0].datatype, "FP32");
    EXPECT_THAT(response->outputs[0].shape, ElementsAre(batch, 5));
    EXPECT_EQ(response->outputs[0].values, test::DirectAnswers(model_, inputs));
  }
}

TEST_F(EngineTest, ThreadsThatShareAnInferenceGiveTheSameBits) {
  Settings settings = settings_;
  settings.session_threads = 2;
  Repository repository(settings, metrics_);
  repository.Announce("small", 1);
  ASSERT_TRUE(repository.Load("small", 1, folder_.Save(model_, "shared.haq")).ok());
  EXPECT_EQ(repository.Acquire("small", "").value()->TakeSession().value()->threads(), 2);
  Engine engine(settings, repository, metrics_);
  EXPECT_EQ(engine.settings().threads, 1);
  const auto inputs = test::SmallInputs(3);
  const auto response = Infer(engine, Floats(inputs, {3, 3, 8, 8}));
  ASSERT_TRUE(response.ok()) << response.status().ToString();
  EXPECT_EQ(response->outputs[0].values, test::DirectAnswers(model_, inputs));
}

TEST_F(EngineTest, RawFloatsMayLieAnywhere) {
  const auto inputs = test::SmallInputs(3);
  std::string bytes(1, 'x');
  bytes.append(reinterpret_cast<const char*>(inputs.data()), inputs.size() * sizeof(float));
  Request request = Floats({}, {3, 3, 8, 8});
  request.inputs[0].content =
      RawContent{{reinterpret_cast<const uint8_t*>(bytes.data()) + 1, bytes.size() - 1}};
  const auto response = Infer(request);
  ASSERT_TRUE(response.ok()) << response.status().ToString();
  EXPECT_EQ(response->outputs[0].values, test::DirectAnswers(model_, inputs));
}

TEST_F(EngineTest, ImagesAreDecodedAndPreprocessed) {
  const auto images = test::SmallPngs(10);
  const auto expected = test::DirectAnswers(model_, test::Preprocessed(model_, images));
  for (const auto& shape : {std::vector<int64_t>{10}, std::vector<int64_t>{10, 1}}) {
    const auto typed = Infer(Images(images, shape));
    ASSERT_TRUE(typed.ok()) << typed.status().ToString();
    EXPECT_EQ(typed->outputs[0].values, expected);
    Request request = Images({}, shape);
    const std::string bytes = Prefixed(images);
    request.inputs[0].content = Raw(bytes);
    const auto raw = Infer(request);
    ASSERT_TRUE(raw.ok()) << raw.status().ToString();
    EXPECT_EQ(raw->outputs[0].values, expected);
  }
}

TEST_F(EngineTest, WrongNamesAreNamed) {
  const auto inputs = test::SmallInputs(1);
  Request request = Floats(inputs, {1, 3, 8, 8});
  request.model = "other";
  ExpectFailure(request, StatusCode::kNotFound, "model_name: no model 'other'");
  request = Floats(inputs, {1, 3, 8, 8});
  request.version = "2";
  ExpectFailure(request, StatusCode::kNotFound, "model_version: version '2'");
  request = Floats(inputs, {1, 3, 8, 8});
  request.inputs[0].name = "x";
  ExpectFailure(request, StatusCode::kInvalidArgument,
                "inputs[0].name: the model has no input 'x', only 'input'");
  request = Floats(inputs, {1, 3, 8, 8});
  request.outputs = {{.name = "output"}, {.name = "y"}};
  ExpectFailure(request, StatusCode::kInvalidArgument,
                "outputs[1].name: the model has no output 'y', only 'output'");
  request.outputs = {{.name = "output"}, {.name = "output"}};
  ExpectFailure(request, StatusCode::kInvalidArgument, "outputs[1].name: 'output' was asked for");
  request = Floats(inputs, {1, 3, 8, 8});
  request.inputs.push_back(request.inputs[0]);
  ExpectFailure(request, StatusCode::kInvalidArgument, "inputs: the model has one input");
  request.inputs.clear();
  ExpectFailure(request, StatusCode::kInvalidArgument, "and the request has 0");
}

TEST_F(EngineTest, WrongShapesAndTypesAreNamed) {
  const auto inputs = test::SmallInputs(1);
  for (const auto& shape :
       {std::vector<int64_t>{3, 8, 8}, {1, 8, 8, 3}, {1, 3, 8, 9}, {1, 192}, {-1, 3, 8, 7}, {}}) {
    ExpectFailure(Floats(inputs, shape), StatusCode::kInvalidArgument,
                  fmt::format("inputs[0].shape: is [{}], but the model takes [N, 3, 8, 8]",
                              fmt::join(shape, ", ")));
  }
  Request request = Floats(inputs, {1, 3, 8, 8});
  request.inputs[0].datatype = "FP16";
  ExpectFailure(request, StatusCode::kInvalidArgument,
                "inputs[0].datatype: 'FP16' is not supported; allowed are FP32");
}

TEST_F(EngineTest, BatchesAreBounded) {
  const auto inputs = test::SmallInputs(1);
  for (const int64_t batch : {int64_t{0}, int64_t{-1}}) {
    ExpectFailure(Floats(inputs, {batch, 3, 8, 8}), StatusCode::kInvalidArgument,
                  "inputs[0].shape: a batch must have at least one sample");
    ExpectFailure(Images({}, {batch}), StatusCode::kInvalidArgument, "at least one sample");
  }
  for (const int64_t batch : {int64_t{21}, int64_t{1} << 62}) {
    ExpectFailure(Floats(inputs, {batch, 3, 8, 8}), StatusCode::kResourceExhausted,
                  fmt::format("a batch of {} is over the limit of 20 (--max-batch)", batch));
    ExpectFailure(Images({}, {batch}), StatusCode::kResourceExhausted, "--max-batch");
  }
}

TEST_F(EngineTest, LengthsThatDisagreeAreNamed) {
  const auto inputs = test::SmallInputs(2);
  ExpectFailure(Floats(inputs, {1, 3, 8, 8}), StatusCode::kInvalidArgument,
                "inputs[0].contents.fp32_contents: has 384 values; shape [1, 3, 8, 8] takes 192");
  Request request = Floats({}, {1, 3, 8, 8});
  const std::string bytes(767, '\0');
  request.inputs[0].content = Raw(bytes);
  ExpectFailure(request, StatusCode::kInvalidArgument, "raw_input_contents[0]: has 767 bytes");
  request.inputs[0].content = BytesContent{"x"};
  ExpectFailure(request, StatusCode::kInvalidArgument, "fp32_contents: has 0 values");
  ExpectFailure(Images(test::SmallPngs(2), {3}), StatusCode::kInvalidArgument,
                "inputs[0].contents.bytes_contents: has 2 elements; shape [3] takes 3");
  ExpectFailure(Images(test::SmallPngs(2), {2, 2}), StatusCode::kInvalidArgument,
                "inputs[0].shape: is [2, 2], but BYTES (encoded images) take [N] or [N, 1]");
}

TEST_F(EngineTest, RawImagesThatEndEarlyOrLateAreNamed) {
  const std::string all = Prefixed(test::SmallPngs(2));
  Request request = Images({}, {2});
  for (const size_t length : {size_t{0}, size_t{3}, size_t{4}, all.size() - 1}) {
    const std::string cut = all.substr(0, length);
    request.inputs[0].content = Raw(cut);
    ExpectFailure(request, StatusCode::kInvalidArgument, "raw_input_contents[0]: ");
  }
  const std::string longer = all + "x";
  request.inputs[0].content = Raw(longer);
  ExpectFailure(request, StatusCode::kInvalidArgument, "1 bytes after the last of 2 elements");
  const std::string lying("\xff\xff\xff\xff\x00\x00", 6);
  request.inputs[0].content = Raw(lying);
  ExpectFailure(request, StatusCode::kInvalidArgument, "length of 4294967295 bytes, but only 2");
}

TEST_F(EngineTest, ImagesThatCannotBeUsedAreNamed) {
  auto images = test::SmallPngs(10);
  images[9] = "no image";
  ExpectFailure(Images(images, {10}), StatusCode::kInvalidArgument, "inputs[0]: image 9: ");
  images[9] = std::string(4097, 'x');
  ExpectFailure(Images(images, {10}), StatusCode::kResourceExhausted,
                "image 9 has 4097 bytes; the limit is 4096 (--max-image-bytes)");
}

TEST_F(EngineTest, ARequestThatNobodyWaitsForIsNotRun) {
  const auto inputs = test::SmallInputs(1);
  const Request request = Floats(inputs, {1, 3, 8, 8});
  request.cancellation.Cancel();
  ExpectFailure(request, StatusCode::kCancelled, "gave the request up");
}

TEST_F(EngineTest, APriorityThatDoesNotExistIsNamed) {
  const auto inputs = test::SmallInputs(1);
  Request request = Floats(inputs, {1, 3, 8, 8});
  for (const int priority : {-1, 4}) {
    request.priority = priority;
    ExpectFailure(
        request, StatusCode::kInvalidArgument,
        fmt::format("parameters.priority: is {}; allowed are 1 (highest) to 3", priority));
  }
  for (const int priority : {0, 3}) {
    request.priority = priority;
    EXPECT_TRUE(Infer(request).ok());
  }
}

TEST_F(EngineTest, AWaitingRequestIsCancelledOrTooLate) {
  const auto inputs = test::SmallInputs(1);
  Request request = Floats(inputs, {1, 3, 8, 8});
  engine_.Hold("small");
  std::promise<Status> cancelled;
  const auto ticket =
      engine_.Infer(request, [&](const Result<Response>& r) { cancelled.set_value(r.status()); });
  engine_.Cancel(ticket);
  EXPECT_EQ(cancelled.get_future().get().code(), StatusCode::kCancelled);
  request.deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(10);
  ExpectFailure(request, StatusCode::kDeadlineExceeded, "before the request could start");
  engine_.Release("small");
}

// Requests of all kinds, good and bad ones, that wait together: each gets what it would get alone.
TEST_F(EngineTest, RequestsThatRunTogetherDoNotDisturbEachOther) {
  const auto inputs = test::SmallInputs(20);
  auto images = test::SmallPngs(3);
  const auto of_inputs = test::DirectAnswers(model_, inputs);
  const auto of_images = test::DirectAnswers(model_, test::Preprocessed(model_, images));
  auto broken = images;
  broken[2] = "no image";
  std::vector<Request> requests;
  std::vector<std::vector<float>> floats(8);
  for (size_t i = 0; i < 8; ++i) {
    floats[i].assign(inputs.begin() + static_cast<long>(i * 2 * test::kSmallInput),
                     inputs.begin() + static_cast<long>((i + 1) * 2 * test::kSmallInput));
    requests.push_back(Floats(floats[i], {2, 3, 8, 8}));
    requests.push_back(Images(images, {3}));
    requests.push_back(Images(broken, {3}));
    requests.push_back(Floats(floats[i], {2, 3, 8, 9}));
    requests.push_back(Floats(floats[i], {2, 3, 8, 8}));
    requests.back().version = "7";
    requests.push_back(Floats(floats[i], {2, 3, 8, 8}));
  }
  requests.push_back(Floats(inputs, {20, 3, 8, 8}));
  engine_.Hold("small");
  std::vector<std::promise<Result<Response>>> answers(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    engine_.Infer(requests[i], [&, i](Result<Response> r) { answers[i].set_value(std::move(r)); });
    if (i % 6 == 5) requests[i].cancellation.Cancel();
  }
  engine_.Release("small");
  for (size_t i = 0; i < requests.size(); ++i) {
    const auto answer = answers[i].get_future().get();
    const size_t group = i / 6;
    const auto code = answer.status().code();
    switch (i + 1 == requests.size() ? 6 : i % 6) {
      case 0:
        ASSERT_TRUE(answer.ok()) << answer.status().ToString();
        EXPECT_EQ(
            answer->outputs[0].values,
            std::vector<float>(
                of_inputs.begin() + static_cast<long>(group * 2 * test::kSmallClasses),
                of_inputs.begin() + static_cast<long>((group + 1) * 2 * test::kSmallClasses)));
        break;
      case 1:
        ASSERT_TRUE(answer.ok()) << answer.status().ToString();
        EXPECT_EQ(answer->outputs[0].values, of_images);
        break;
      case 2:
        EXPECT_THAT(answer.status().message(), HasSubstr("inputs[0]: image 2: "));
        break;
      case 3:
        EXPECT_EQ(code, StatusCode::kInvalidArgument);
        break;
      case 4:
        EXPECT_EQ(code, StatusCode::kNotFound);
        break;
      case 5:
        EXPECT_EQ(code, StatusCode::kCancelled);
        break;
      case 6:
        ASSERT_TRUE(answer.ok()) << answer.status().ToString();
        EXPECT_EQ(answer->outputs[0].values, of_inputs);
        break;
    }
  }
  const std::string scrape = metrics_.Scrape();
  EXPECT_THAT(scrape, HasSubstr(R"(haq_inference_batch_size_sum{model="small"} )"));
  EXPECT_THAT(scrape, HasSubstr(R"(haq_inference_queue_requests{model="small"} 0)"));
}

TEST_F(EngineTest, RequestsWaitForTheVersionThatLoads) {
  const auto inputs = test::SmallInputs(1);
  const Request request = Floats(inputs, {1, 3, 8, 8});
  engine_.Hold("small");
  repository_.Announce("small", 2);
  std::promise<Result<Response>> promise;
  engine_.Infer(request, [&](Result<Response> r) { promise.set_value(std::move(r)); });
  auto future = promise.get_future();
  EXPECT_EQ(future.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  ASSERT_TRUE(repository_.Load("small", 2, folder_.Save(test::SmallModel(2), "b.haq")).ok());
  engine_.Release("small");
  const auto response = future.get();
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->version, "2");
  EXPECT_EQ(response->outputs[0].values, test::DirectAnswers(test::SmallModel(2), inputs));
}

TEST_F(EngineTest, ManyRequestsWhileVersionsChange) {
  const auto inputs = test::SmallInputs(3);
  const Request request = Floats(inputs, {3, 3, 8, 8});
  const auto first = test::DirectAnswers(test::SmallModel(1), inputs);
  const auto second = test::DirectAnswers(test::SmallModel(2), inputs);
  ASSERT_NE(first, second);
  const auto a = folder_.path() / "a.haq", b = folder_.Save(test::SmallModel(2), "b.haq");
  std::atomic<int> good = 0, answered = 0;
  constexpr int kRequests = 200;
  for (int i = 0; i < kRequests; ++i) {
    engine_.Infer(request, [&](const Result<Response>& r) {
      good += r.ok() && r->outputs[0].values == (r->version == "1" ? first : second);
      ++answered;
    });
    if (i % 20 == 0) {
      const int64_t version = i % 40 == 0 ? 2 : 1;
      repository_.Announce("small", version);
      ASSERT_TRUE(repository_.Load("small", version, version == 2 ? b : a).ok());
    }
  }
  engine_.Stop();
  EXPECT_EQ(answered, kRequests);
  EXPECT_EQ(good, kRequests);
}

}  // namespace
}  // namespace haq::server::serving
