#include "server/serving/loader.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "tests/unit/server/serving/test_model.h"

namespace haq::server::serving {
namespace {

class LoaderTest : public ::testing::Test {
 protected:
  void WaitUntilIdle() {
    for (int i = 0; i < 2000 && !loader_.Idle(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    ASSERT_TRUE(loader_.Idle());
  }
  Result<Response> Infer() {
    const auto inputs = test::SmallInputs(1);
    const Request request{.model = "small",
                          .version = "",
                          .inputs = {{"input", "FP32", {1, 3, 8, 8}, FloatContent(inputs)}},
                          .outputs = {},
                          .cancellation = {}};
    std::promise<Result<Response>> promise;
    engine_.Infer(request, [&](Result<Response> r) { promise.set_value(std::move(r)); });
    return promise.get_future().get();
  }

  test::ModelFolder folder_;
  metrics::Metrics metrics_;
  Repository repository_{{}, metrics_};
  Engine engine_{{}, repository_, metrics_};
  Loader loader_{repository_, engine_};
};

TEST_F(LoaderTest, WhoKnowsOfAVersionGetsItsAnswers) {
  const auto a = folder_.Save(test::SmallModel(1), "a.haq");
  const auto b = folder_.Save(test::SmallModel(2), "b.haq");
  for (int64_t version = 1; version <= 10; ++version) {
    loader_.OnVersionRegistered("small", version, version % 2 ? a : b);
    const auto response = Infer();
    ASSERT_TRUE(response.ok()) << response.status().ToString();
    EXPECT_EQ(response->version, std::to_string(version));
  }
}

TEST_F(LoaderTest, ABrokenVersionLeavesTheOneBefore) {
  loader_.OnVersionRegistered("small", 1, folder_.Save(test::SmallModel(1), "a.haq"));
  loader_.OnVersionRegistered("small", 2, folder_.SaveBroken("b.haq"));
  EXPECT_EQ(Infer().value().version, "1");
  WaitUntilIdle();
  EXPECT_EQ(repository_.List()[0].state, ModelStatus::State::kFailed);
}

TEST_F(LoaderTest, ADeletedModelIsGoneAndANewOneOfThatNameAnswers) {
  loader_.OnVersionRegistered("small", 1, folder_.Save(test::SmallModel(1), "a.haq"));
  EXPECT_TRUE(Infer().ok());
  loader_.OnModelDeleted("small");
  EXPECT_EQ(Infer().status().code(), StatusCode::kNotFound);
  loader_.OnVersionRegistered("small", 1, folder_.Save(test::SmallModel(2), "c.haq"));
  EXPECT_EQ(Infer().value().outputs[0].values,
            test::DirectAnswers(test::SmallModel(2), test::SmallInputs(1)));
}

TEST_F(LoaderTest, LoadsAgainAndTellsHowItEnded) {
  const auto load = [this](const std::string& model) {
    std::promise<Status> promise;
    loader_.Load(model, [&](const Status& status) { promise.set_value(status); });
    return promise.get_future().get();
  };
  EXPECT_EQ(load("small").code(), StatusCode::kNotFound);
  const auto path = folder_.Save(test::SmallModel(1), "a.haq");
  loader_.OnVersionRegistered("small", 7, path);
  WaitUntilIdle();
  ASSERT_TRUE(loader_.Unload("small").ok());
  EXPECT_EQ(Infer().status().code(), StatusCode::kUnavailable);
  EXPECT_TRUE(load("small").ok());
  EXPECT_EQ(Infer().value().version, "7");
  ASSERT_TRUE(loader_.Unload("small").ok());
  std::filesystem::remove(path);
  EXPECT_EQ(load("small").code(), StatusCode::kNotFound);
  loader_.OnModelDeleted("small");
  EXPECT_EQ(load("small").code(), StatusCode::kNotFound);
  loader_.Stop();
  EXPECT_EQ(load("small").code(), StatusCode::kUnavailable);
}

TEST_F(LoaderTest, StopReleasesWhoWaits) {
  loader_.Stop();
  loader_.Stop();
  EXPECT_TRUE(loader_.Idle());
}

}  // namespace
}  // namespace haq::server::serving
