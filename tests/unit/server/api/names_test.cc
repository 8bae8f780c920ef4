#include "server/api/names.h"

#include <gtest/gtest.h>

#include "server/api/pages.h"

namespace haq::server::api {
namespace {

TEST(Names, ResourceIds) {
  for (const char* id : {"a", "0", "resnet20", "a-b_c.d", "1.2"}) EXPECT_TRUE(IsResourceId(id));
  EXPECT_TRUE(IsResourceId(std::string(64, 'a')));
  EXPECT_FALSE(IsResourceId(std::string(65, 'a')));
  for (const char* id : {"", "-a", "a-", ".", "..", "a/b", "A", "a b", "a\n", "\xc3\xa4"}) {
    EXPECT_FALSE(IsResourceId(id)) << id;
  }
}

TEST(Names, ParsingIsTheInverseOfMaking) {
  EXPECT_EQ(*ParseModelName("name", ModelName("m.1")), "m.1");
  EXPECT_EQ(*ParseDatasetName("name", DatasetName("d")), "d");
  const auto version = ParseVersionName("name", VersionName("m", 12));
  ASSERT_TRUE(version.ok());
  EXPECT_EQ(version->model_id, "m");
  EXPECT_EQ(version->version, 12);
  EXPECT_EQ(ParseVersionName("name", "models/m")->version, 0);
  for (const char* name : {"models/", "models/m/", "datasets/m", "models/m/versions/", "m",
                           "models/m/versions/0", "models/m/versions/1/2", ""}) {
    EXPECT_EQ(ParseVersionName("name", name).status().code(), StatusCode::kInvalidArgument) << name;
  }
  EXPECT_EQ(ParseModelName("spec.model", "datasets/d").status().message(),
            "spec.model: must be models/{id}, found 'datasets/d'");
}

TEST(Pages, TokensAreOfOneList) {
  const std::string token = MakePageToken("models", "resnet");
  EXPECT_EQ(*ReadPageToken("models", token), "resnet");
  EXPECT_EQ(*ReadPageToken("models", ""), "");
  for (const std::string& bad : {token.substr(1), token + "0", std::string("zz"),
                                 MakePageToken("datasets", "x"), MakePageToken("models", "")}) {
    EXPECT_FALSE(ReadPageToken("models", bad).ok()) << bad;
  }
}

TEST(Pages, SizesAreBounded) {
  const Limits limits;
  EXPECT_EQ(*PageSize(0, limits), 100);
  EXPECT_EQ(*PageSize(7, limits), 7);
  EXPECT_EQ(*PageSize(1'000'000, limits), 1000);
  EXPECT_FALSE(PageSize(-1, limits).ok());
}

}  // namespace
}  // namespace haq::server::api
