#include "server/http/routes.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/base/version.h"
#include "tests/unit/server/serving/test_model.h"

namespace haq::server::http {
namespace {

using nlohmann::json;

class RoutesTest : public ::testing::Test {
 protected:
  Response Get(const Router& router, const std::string& path) {
    const auto match = router.Find("GET", path);
    if (match.handler == nullptr) return match.error;
    Response answer;
    Request request;
    request.parameters = match.parameters;
    (*match.handler)(std::move(request), [&](Response response) { answer = std::move(response); });
    return answer;
  }
  Response Get(const std::string& path) { return Get(router_, path); }

  bool ready_ = true;
  metrics::Metrics metrics_;
  serving::Repository repository_{{}, metrics_};
  serving::Engine engine_{{}, repository_, metrics_};
  serving::Loader loader_{repository_, engine_};
  Router router_ = InferenceRoutes(
      {engine_, repository_, loader_, metrics_, [this] { return ready_; }, 1 << 20});
  test::ModelFolder folder_;
};

TEST_F(RoutesTest, TellsOfTheServer) {
  EXPECT_EQ(Get("/v2").status, 200);
  const json server = json::parse(Get("/v2").body);
  EXPECT_EQ(server.at("name"), "haq");
  EXPECT_EQ(server.at("version"), kVersion);
  EXPECT_EQ(server.at("extensions").at(4), "binary_tensor_data");
}

TEST_F(RoutesTest, TellsOfHealth) {
  EXPECT_EQ(Get("/v2/health/live").status, 200);
  EXPECT_EQ(Get("/v2/health/ready").status, 200);
  EXPECT_EQ(json::parse(Get("/v2/health/ready").body), (json{{"ready", true}}));
  ready_ = false;
  EXPECT_EQ(Get("/v2/health/live").status, 200);
  EXPECT_EQ(Get("/v2/health/ready").status, 503);
  EXPECT_EQ(json::parse(Get("/v2/health/ready").body), (json{{"ready", false}}));
}

TEST_F(RoutesTest, TellsOfModels) {
  repository_.Announce("small", 2);
  EXPECT_EQ(Get("/v2/models/small/ready").status, 503);
  ASSERT_TRUE(repository_.Load("small", 2, folder_.Save(test::SmallModel(1), "a.haq")).ok());
  EXPECT_EQ(Get("/v2/models/small/ready").status, 200);
  EXPECT_EQ(Get("/v2/models/small/versions/2/ready").status, 200);
  const Response version = Get("/v2/models/small/versions/1/ready");
  EXPECT_EQ(version.status, 404);
  EXPECT_EQ(json::parse(version.body).at("error"),
            "model_version: version '1' of model 'small' is not served; '2' is");
  EXPECT_EQ(Get("/v2/models/other/ready").status, 404);
  repository_.Announce("bad", 1);
  EXPECT_FALSE(repository_.Load("bad", 1, folder_.SaveBroken("b.haq")).ok());
  EXPECT_EQ(Get("/v2/models/bad/ready").status, 503);
}

TEST_F(RoutesTest, TellsTheMetrics) {
  const Router router = MetricsRoutes([this] { return metrics_.Scrape(); });
  const Response answer = Get(router, "/metrics");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.content_type, "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_NE(answer.body.find("# TYPE haq_jobs gauge"), std::string::npos);
  EXPECT_EQ(Get(router, "/v2").status, 404);
}

}  // namespace
}  // namespace haq::server::http
