#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "core/data/preprocess.h"

namespace haq::data {
namespace {

using testing::HasSubstr;

TEST(PreprocessJson, EmptyObjectIsAllDefaults) {
  const auto parsed = Preprocess::FromJson("{}");
  ASSERT_TRUE(parsed.ok()) << parsed.status().ToString();
  EXPECT_FALSE(parsed->shorter_side || parsed->resize_to || parsed->center_crop);
  EXPECT_EQ(parsed->color, ColorOrder::kRgb);
  EXPECT_EQ(parsed->scale, 1.0 / 255);
  EXPECT_EQ(parsed->mean, (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(parsed->std, (std::vector<double>{1, 1, 1}));
}

TEST(PreprocessJson, EveryKeyIsRead) {
  const auto parsed = Preprocess::FromJson(R"({
      "resize": {"shorter_side": 256, "interpolation": "bicubic"}, "center_crop": [224, 192],
      "color": "bgr", "scale": 0.00392156863, "mean": [0.485, 0.456, 0.406], "std": [1, 2.5, 3]})");
  ASSERT_TRUE(parsed.ok()) << parsed.status().ToString();
  EXPECT_EQ(parsed->shorter_side, 256);
  EXPECT_EQ(parsed->interpolation, Interpolation::kBicubic);
  EXPECT_EQ(parsed->center_crop, (std::array{224, 192}));
  EXPECT_EQ(parsed->color, ColorOrder::kBgr);
  EXPECT_EQ(parsed->scale, 0.00392156863);
  EXPECT_EQ(parsed->mean, (std::vector<double>{0.485, 0.456, 0.406}));
  EXPECT_EQ(parsed->std, (std::vector<double>{1, 2.5, 3}));

  const auto other = Preprocess::FromJson(
      R"({"resize": {"size": [30, 40], "interpolation": "nearest"}, "color": "gray"})");
  ASSERT_TRUE(other.ok()) << other.status().ToString();
  EXPECT_EQ(other->resize_to, (std::array{30, 40}));
  EXPECT_EQ(other->interpolation, Interpolation::kNearest);
  EXPECT_EQ(other->mean, std::vector<double>{0});
  EXPECT_EQ(other->std, std::vector<double>{1});
}

TEST(PreprocessJson, RoundTripIsExact) {
  Preprocess original;
  original.shorter_side = 65535;
  original.interpolation = Interpolation::kBicubic;
  original.center_crop = {1, 65535};
  original.color = ColorOrder::kBgr;
  original.scale = 1.0 / 127.5;
  original.mean = {0.1, -1e-300, 1.0 / 3};
  original.std = {0.229, std::numeric_limits<float>::min(), 1e30};
  const auto again = Preprocess::FromJson(original.ToJson());
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_EQ(again->ToJson(), original.ToJson());
  EXPECT_EQ(again->shorter_side, original.shorter_side);
  EXPECT_EQ(again->interpolation, original.interpolation);
  EXPECT_EQ(again->center_crop, original.center_crop);
  EXPECT_EQ(again->color, original.color);
  EXPECT_EQ(again->scale, original.scale);
  EXPECT_EQ(again->mean, original.mean);
  EXPECT_EQ(again->std, original.std);
  EXPECT_EQ(Preprocess::FromJson(Preprocess().ToJson())->scale, 1.0 / 255);

  Preprocess gray;
  gray.resize_to = {3, 4};
  gray.color = ColorOrder::kGray;
  gray.mean = {0.5};
  gray.std = {0.25};
  const auto gray_again = Preprocess::FromJson(gray.ToJson());
  ASSERT_TRUE(gray_again.ok()) << gray_again.status().ToString();
  EXPECT_EQ(gray_again->resize_to, gray.resize_to);
  EXPECT_EQ(gray_again->mean, gray.mean);
}

struct BadCase {
  const char* json;
  const char* field;
  const char* message;
};

TEST(PreprocessJson, ErrorsNameTheKey) {
  const BadCase cases[] = {
      {R"({"resise": {}})", "resise", "unknown key; resize, center_crop, color"},
      {R"({"resize": 256})", "resize", "must be an object, not 256"},
      {R"({"resize": {}})", "resize", "needs shorter_side or size"},
      {R"({"resize": {"interpolation": "bilinear"}})", "resize", "needs shorter_side or size"},
      {R"({"resize": {"shorter_side": 2, "size": [2, 2]}})", "resize", "both"},
      {R"({"resize": {"longer_side": 2}})", "resize.longer_side", "unknown key; shorter_side"},
      {R"({"resize": {"shorter_side": 0}})", "resize.shorter_side", "from 1 to 65535, not 0"},
      {R"({"resize": {"shorter_side": -3}})", "resize.shorter_side", "not -3"},
      {R"({"resize": {"shorter_side": 65536}})", "resize.shorter_side", "from 1 to 65535"},
      {R"({"resize": {"shorter_side": 18446744073709551615}})", "resize.shorter_side", "pixels"},
      {R"({"resize": {"shorter_side": 25.5}})", "resize.shorter_side", "whole number"},
      {R"({"resize": {"shorter_side": "256"}})", "resize.shorter_side", "not \"256\""},
      {R"({"resize": {"size": 256}})", "resize.size", "[height, width], not 256"},
      {R"({"resize": {"size": [1, 2, 3]}})", "resize.size", "[height, width]"},
      {R"({"resize": {"size": [1, 0]}})", "resize.size", "from 1 to 65535, not 0"},
      {R"({"resize": {"size": [1, null]}})", "resize.size", "not null"},
      {R"({"resize": {"size": [1, 1], "interpolation": "lanczos"}})", "resize.interpolation",
       "\"bilinear\", \"bicubic\", \"nearest\", not \"lanczos\""},
      {R"({"resize": {"size": [1, 1], "interpolation": 2}})", "resize.interpolation", "not 2"},
      {R"({"center_crop": 224})", "center_crop", "[height, width], not 224"},
      {R"({"center_crop": [224, 1e9]})", "center_crop", "whole number"},
      {R"({"center_crop": [224, 70000]})", "center_crop", "from 1 to 65535, not 70000"},
      {R"({"color": "RGB"})", "color", "\"rgb\", \"bgr\", \"gray\", not \"RGB\""},
      {R"({"color": null})", "color", "not null"},
      {R"({"scale": "1"})", "scale", "must be a number, not \"1\""},
      {R"({"scale": true})", "scale", "must be a number, not true"},
      {R"({"scale": 0})", "scale", "not 0"},
      {R"({"mean": 0.5})", "mean", "list"},
      {R"({"mean": [0.5, 0.5]})", "mean", "has 2 values, but the colour has 3"},
      {R"({"color": "gray", "mean": [1, 2, 3]})", "mean", "has 3 values, but the colour has 1"},
      {R"({"mean": [0, 0, "a"]})", "mean", "numbers only, not \"a\""},
      {R"({"std": [1, 1]})", "std", "has 2 values"},
      {R"({"std": [1, 0, 1]})", "std", "greater than 0, not 0"},
      {R"({"std": [1, -1, 1]})", "std", "greater than 0, not -1"},
      {R"({"std": [1, [], 1]})", "std", "numbers only"},
      {R"({"std": [1, 1, 1e-300]})", "std", "range of a float"},
      {R"({"scale": 1, "scale": 2})", "scale", "given twice"},
      {R"({"resize": {"size": [1, 1], "size": [2, 2]}})", "size", "given twice"},
  };
  for (const BadCase& bad : cases) {
    const auto parsed = Preprocess::FromJson(bad.json);
    ASSERT_EQ(parsed.status().code(), StatusCode::kInvalidArgument) << bad.json;
    EXPECT_THAT(parsed.status().message(), HasSubstr(std::string(bad.field) + ": ")) << bad.json;
    EXPECT_THAT(parsed.status().message(), HasSubstr(bad.message)) << bad.json;
    ASSERT_EQ(parsed.status().fields().size(), 1u) << bad.json;
    EXPECT_EQ(parsed.status().fields()[0].field, bad.field);
  }
}

TEST(PreprocessJson, OtherTextIsRefused) {
  for (const char* text : {"", "[]", "3", "null", "{", "{\"scale\": }", "{} {}", "{\"scale\": NaN}",
                           "{\"scale\": 1e999}", "{\"a\xff\": 1}", "{'scale': 1}"}) {
    const auto parsed = Preprocess::FromJson(text);
    EXPECT_EQ(parsed.status().code(), StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(parsed.status().message(), HasSubstr("preprocessing: ")) << text;
  }
  EXPECT_THAT(Preprocess::FromJson(std::string(100'000, '[')).status().message(),
              HasSubstr("at most 65536"));
  EXPECT_EQ(Preprocess::FromJson(std::string(60'000, '[')).status().code(),
            StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace haq::data
