#include "server/http/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace haq::server::http {
namespace {

using ::testing::HasSubstr;

Handler Answer(std::string text) {
  return [text](const Request&, const Respond& respond) { respond({.body = text}); };
}

std::string Call(const Router::Match& match) {
  std::string body;
  if (match.handler == nullptr) return "none";
  (*match.handler)({}, [&](const Response& response) { body = response.body; });
  return body;
}

class RouterTest : public ::testing::Test {
 protected:
  RouterTest() {
    router_.Add(Method::kGet, "/v2", Answer("server"));
    router_.Add(Method::kGet, "/v2/models/{model}/ready", Answer("ready"));
    router_.Add(Method::kGet, "/v2/models/{model}/versions/{version}/ready", Answer("version"));
    router_.Add(Method::kPost, "/v2/models/{model}/infer", Answer("infer"));
    router_.Add(Method::kGet, "/", Answer("root"));
  }
  Router router_;
};

TEST_F(RouterTest, FindsLiteralPathsAndParameters) {
  EXPECT_EQ(Call(router_.Find("GET", "/v2")), "server");
  EXPECT_EQ(Call(router_.Find("GET", "/")), "root");
  EXPECT_EQ(Call(router_.Find("POST", "/v2/models/a.b-c/infer")), "infer");
  const auto match = router_.Find("GET", "/v2/models/m/versions/3/ready");
  EXPECT_EQ(Call(match), "version");
  EXPECT_EQ(match.pattern, "/v2/models/{model}/versions/{version}/ready");
  EXPECT_EQ(match.parameters.at("model"), "m");
  EXPECT_EQ(match.parameters.at("version"), "3");
}

TEST_F(RouterTest, HeadFindsWhatGetFinds) {
  EXPECT_EQ(Call(router_.Find("HEAD", "/v2")), "server");
}

TEST_F(RouterTest, UnknownPathsAre404) {
  for (const char* path : {"/v3", "/v2/", "/v2/models//ready", "/v2/models/m/ready/", "//v2"}) {
    const auto match = router_.Find("GET", path);
    EXPECT_EQ(match.handler, nullptr) << path;
    EXPECT_EQ(match.error.status, 404) << path;
    EXPECT_EQ(match.pattern, "none") << path;
    EXPECT_EQ(nlohmann::json::parse(match.error.body).at("error"),
              "no such path: " + std::string(path));
  }
}

TEST_F(RouterTest, OtherMethodsAre405WithAllow) {
  for (const char* method : {"POST", "DELETE", "BREW"}) {
    const auto match = router_.Find(method, "/v2");
    EXPECT_EQ(match.error.status, 405);
    ASSERT_EQ(match.error.headers.size(), 1u);
    EXPECT_EQ(match.error.headers[0].first, "Allow");
    EXPECT_EQ(match.error.headers[0].second, "GET, HEAD");
  }
  EXPECT_EQ(router_.Find("GET", "/v2/models/m/infer").error.headers[0].second, "POST");
}

TEST(ParseTargetTest, DecodesThePathAndSplitsTheQuery) {
  const auto target = ParseTarget("/v2/a%20b%2fc?x=%41");
  ASSERT_TRUE(target.ok());
  EXPECT_EQ(target->path, "/v2/a b/c");
  EXPECT_EQ(target->query, "x=%41");
}

TEST(ParseTargetTest, RefusesWhatIsNoPath) {
  for (const char* bad : {"", "v2", "*", "http://host/v2"}) {
    const auto target = ParseTarget(bad);
    EXPECT_EQ(target.status().code(), StatusCode::kInvalidArgument) << bad;
    EXPECT_THAT(target.status().message(), HasSubstr("starts with /"));
  }
  for (const char* bad : {"/%", "/%4", "/%4g", "/%zz"}) {
    EXPECT_THAT(ParseTarget(bad).status().message(), HasSubstr("hexadecimal")) << bad;
  }
  for (const char* bad : {"/%00", "/a%0d%0ab", "/%7f"}) {
    EXPECT_THAT(ParseTarget(bad).status().message(), HasSubstr("control characters")) << bad;
  }
}

TEST(ErrorResponseTest, IsJsonWhateverTheMessage) {
  const Response response = ErrorResponse(NotFound("no model \"{}\"\n\xff", "x"));
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.content_type, "application/json");
  EXPECT_EQ(nlohmann::json::parse(response.body).at("error"), "no model \"x\"\n\xEF\xBF\xBD");
}

}  // namespace
}  // namespace haq::server::http
