// The estimate with a clock of its own, and the monitor in the engine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <limits>
#include <random>

#include "server/serving/clipping_estimate.h"
#include "server/serving/clipping_monitor.h"
#include "server/serving/engine.h"
#include "tests/unit/server/serving/test_model.h"

namespace haq::server::serving {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using Time = ClippingEstimate::Time;

constexpr int64_t kElements = 10'000;
constexpr Time kStart{seconds(1'000'000)};

ClippingEstimate OneTensor(double calibrated) {
  return ClippingEstimate({{kElements, calibrated}}, seconds(20));
}

TEST(ClippingEstimate, IsOneWhereNothingChanged) {
  ClippingEstimate estimate = OneTensor(0.001);
  EXPECT_EQ(estimate.At(kStart).worst, 1) << "nothing is known";
  for (int i = 0; i < 100; ++i) {
    estimate.Add(std::vector<int64_t>{10}, kStart + seconds(i));
    EXPECT_NEAR(estimate.At(kStart + seconds(i)).worst, 1, 1e-9);
  }
  EXPECT_NEAR(estimate.At(kStart + seconds(99)).tensors[0].ratio, 0.001, 1e-9);
}

TEST(ClippingEstimate, ShowsWithinAMinuteWhatChangedAndForgetsIt) {
  ClippingEstimate estimate = OneTensor(0.001);
  Time now = kStart;
  const auto serve = [&](int images, int64_t clipped) {
    for (int i = 0; i < images; ++i) estimate.Add(std::vector<int64_t>{clipped}, now += seconds(1));
  };
  serve(300, 10);
  serve(60, 200);  // twenty times as many, of one image a second
  EXPECT_GT(estimate.At(now).worst, 8);
  EXPECT_LT(estimate.At(now).worst, 19);
  serve(200, 10);
  EXPECT_LT(estimate.At(now).worst, 1.1);
  serve(60, 200);
  EXPECT_LT(estimate.At(now + seconds(600)).worst, 1.1) << "without images it fades as well";
}

TEST(ClippingEstimate, TheFirstImagesAreNoDrift) {
  ClippingEstimate estimate = OneTensor(0.001);
  estimate.Add(std::vector<int64_t>{100}, kStart);  // ten times as many, on one image
  EXPECT_LT(estimate.At(kStart).worst, 2);
  for (int i = 0; i < 500; ++i) estimate.Add(std::vector<int64_t>{100}, kStart);
  EXPECT_NEAR(estimate.At(kStart).worst, (0.01 + 1e-4) / (0.001 + 1e-4), 0.5);
}

TEST(ClippingEstimate, ATensorThatNeverClippedMayClipALittle) {
  ClippingEstimate estimate = OneTensor(0);
  for (int i = 0; i < 1000; ++i) estimate.Add(std::vector<int64_t>{i % 10 == 0}, kStart);
  EXPECT_LT(estimate.At(kStart).worst, 1.2);
  for (int i = 0; i < 1000; ++i) estimate.Add(std::vector<int64_t>{100}, kStart);
  EXPECT_GT(estimate.At(kStart).worst, 20);
}

TEST(ClippingEstimate, FewElementsNeedManyImages) {
  ClippingEstimate estimate({{10, 0}}, seconds(20));
  estimate.Add(std::vector<int64_t>{1}, kStart);
  EXPECT_LT(estimate.At(kStart).worst, 1.1);
  for (int i = 0; i < 1000; ++i) estimate.Add(std::vector<int64_t>{1}, kStart);
  EXPECT_GT(estimate.At(kStart).worst, 10);
}

TEST(ClippingEstimate, TheWorstTensorIsNotHiddenByTheOthers) {
  ClippingEstimate estimate({{kElements, 0.001}, {kElements, 0.001}}, seconds(20));
  for (int i = 0; i < 1000; ++i) estimate.Add(std::vector<int64_t>{10, 200}, kStart);
  const auto drift = estimate.At(kStart);
  EXPECT_NEAR(drift.tensors[0].drift, 1, 0.01);
  EXPECT_GT(drift.worst, 15);
  EXPECT_NEAR(drift.mean, (drift.tensors[0].drift + drift.tensors[1].drift) / 2, 1e-9);
}

artifact::Model WatchedModel() {
  artifact::Model model = test::SmallModel(1);
  artifact::WriteClipping({256, {{0, true, true, 49'152 / 100}, {1, false, true, 0}}}, model);
  return model;
}

std::unique_ptr<ClippingMonitor> Monitor(const Settings& settings) {
  auto monitor =
      ClippingMonitor::Create(runtime::LoadedModel::Create(WatchedModel()).value(), settings);
  EXPECT_TRUE(monitor.ok()) << monitor.status().ToString();
  return *std::move(monitor);
}

TEST(ClippingMonitor, CountsOneSampleInSoManyAndOneASecond) {
  const auto monitor = Monitor({.clipping_sample = 10});
  int due = 0;
  for (int i = 0; i < 1000; ++i) due += monitor->Due(1, kStart);
  EXPECT_EQ(due, 1 + 100) << "the first by time";
  due = 0;
  for (int i = 0; i < 100; ++i) due += monitor->Due(8, kStart);
  EXPECT_EQ(due, 80);
  EXPECT_FALSE(monitor->Due(1, kStart + std::chrono::milliseconds(900)));
  EXPECT_TRUE(monitor->Due(1, kStart + std::chrono::milliseconds(1000)));
  EXPECT_FALSE(monitor->Due(1, kStart + std::chrono::milliseconds(1100)));
}

TEST(ClippingMonitor, IsNoneWhereNothingIsToBeWatched) {
  EXPECT_EQ(Monitor({.clipping_sample = 0}), nullptr);
  const auto silent = runtime::LoadedModel::Create(test::SmallModel(1)).value();
  const auto monitor = ClippingMonitor::Create(silent, Settings{});
  ASSERT_TRUE(monitor.ok());
  EXPECT_EQ(*monitor, nullptr);
}

class ClippingServing : public ::testing::Test {
 protected:
  void Load(const artifact::Model& model) {
    repository_.Announce("small", 3);
    const Status status = repository_.Load("small", 3, folder_.Save(model, "watched.haq"));
    EXPECT_TRUE(status.ok()) << status.ToString();
  }
  Result<Response> Infer(const std::vector<float>& values, int64_t batch) {
    const Request request{.model = "small",
                          .version = "",
                          .inputs = {{"input", "FP32", {batch, 3, 8, 8}, FloatContent(values)}},
                          .outputs = {},
                          .cancellation = {}};
    std::promise<Result<Response>> promise;
    engine_.Infer(request, [&](Result<Response> r) { promise.set_value(std::move(r)); });
    return promise.get_future().get();
  }

  test::ModelFolder folder_;
  metrics::Metrics metrics_;
  Settings settings_{.threads = 1, .session_batch = 8, .clipping_sample = 4, .clipping_tensors = 1};
  Repository repository_{settings_, metrics_};
  Engine engine_{settings_, repository_, metrics_};
};

TEST_F(ClippingServing, CountedSamplesHaveTheSameAnswers) {
  Load(WatchedModel());
  for (const int64_t batch : {1, 2, 8, 9, 20}) {
    const auto inputs = test::SmallInputs(batch);
    const auto response = Infer(inputs, batch);
    ASSERT_TRUE(response.ok()) << response.status().ToString();
    EXPECT_EQ(response->outputs[0].values, test::DirectAnswers(WatchedModel(), inputs));
  }
  const auto figures = repository_.Clipping();
  ASSERT_EQ(figures.size(), 1u);
  EXPECT_EQ(figures[0].model, "small");
  EXPECT_EQ(figures[0].version, 3);
  EXPECT_GE(figures[0].images, 6) << "of 40 samples in pieces of at most 8";
  EXPECT_LE(figures[0].images, 10);
}

TEST_F(ClippingServing, InputsBeyondTheRangeAreADrift) {
  Load(WatchedModel());
  const std::vector<float> far(8 * test::kSmallInput, 1e6f);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(Infer(far, 8).ok());
  const auto figures = repository_.Clipping().at(0);
  ASSERT_EQ(figures.tensors.size(), 1u) << "as many as the settings allow";
  EXPECT_EQ(figures.tensors[0].name, WatchedModel().tensors[0].name);
  EXPECT_DOUBLE_EQ(figures.tensors[0].ratio, 1);
  EXPECT_NEAR(figures.tensors[0].calibrated_ratio, 0.01, 1e-4);
  EXPECT_GT(figures.tensors[0].drift, 20);
  EXPECT_GE(figures.drift, figures.tensors[0].drift);
  ASSERT_TRUE(repository_.Unload("small").ok());
  EXPECT_TRUE(repository_.Clipping().empty());
}

TEST_F(ClippingServing, AModelWhoseClippingIsNonsenseIsServedAllTheSame) {
  artifact::Model model = test::SmallModel(1);
  model.metadata_json = R"({"clipping": 7})";
  Load(model);
  EXPECT_TRUE(Infer(test::SmallInputs(1), 1).ok());
  EXPECT_TRUE(repository_.Clipping().empty());
}

}  // namespace
}  // namespace haq::server::serving
