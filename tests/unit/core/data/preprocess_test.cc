#include "core/data/preprocess.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/data/resize.h"
#include "tests/unit/core/data/goldens.h"
#include "tests/unit/core/data/test_data.h"

namespace haq::data {
namespace {

using testing::HasSubstr;

std::vector<float> Applied(const Preprocess& preprocess, const Image& image,
                           const std::vector<int64_t>& shape) {
  std::vector<float> output(shape[0] * shape[1] * shape[2], -1000.f);
  const Status status = Apply(preprocess, image, shape, output);
  EXPECT_TRUE(status.ok()) << status.ToString();
  return output;
}

Preprocess Identity() {
  Preprocess preprocess;
  preprocess.scale = 1;
  return preprocess;
}

TEST(Preprocess, PlanesInTheColourOrder) {
  const Image image{2, 1, {1, 2, 3, 4, 5, 6}};
  Preprocess preprocess = Identity();
  EXPECT_EQ(Applied(preprocess, image, {3, 1, 2}), (std::vector<float>{1, 4, 2, 5, 3, 6}));
  preprocess.color = ColorOrder::kBgr;
  EXPECT_EQ(Applied(preprocess, image, {3, 1, 2}), (std::vector<float>{3, 6, 2, 5, 1, 4}));
}

TEST(Preprocess, GrayIsPillowsLuma) {
  Preprocess preprocess = Identity();
  preprocess.color = ColorOrder::kGray;
  preprocess.mean = {0};
  preprocess.std = {1};
  const auto output = Applied(preprocess, {13, 11, goldens::kSource13x11}, {1, 11, 13});
  EXPECT_EQ(output, std::vector<float>(goldens::kLuma13x11.begin(), goldens::kLuma13x11.end()));
}

TEST(Preprocess, ValuesAreRoundedOnceFromDouble) {
  Preprocess preprocess;
  preprocess.mean = {0.485, 0.456, 0.406};
  preprocess.std = {0.229, 0.224, 0.225};
  Image image{256, 1, {}};
  for (int i = 0; i < 256; ++i) image.rgb.insert(image.rgb.end(), 3, static_cast<uint8_t>(i));
  const auto output = Applied(preprocess, image, {3, 1, 256});
  for (int c = 0; c < 3; ++c) {
    for (int i = 0; i < 256; ++i) {
      const double exact = (i * (1.0 / 255) - preprocess.mean[c]) / preprocess.std[c];
      ASSERT_EQ(output[c * 256 + i], static_cast<float>(exact));
    }
  }
  // Bits, not expressions: these may not change between machines or versions.
  EXPECT_EQ(output[0], -2.11790395f);
  EXPECT_EQ(output[255], 2.2489083f);
  EXPECT_EQ(output[256 + 100], -0.285014004f);
}

TEST(Preprocess, MeanAndStdFollowTheColourOrder) {
  Preprocess preprocess = Identity();
  preprocess.color = ColorOrder::kBgr;
  preprocess.mean = {1, 2, 3};
  preprocess.std = {1, 2, 4};
  EXPECT_EQ(Applied(preprocess, {1, 1, {11, 12, 13}}, {3, 1, 1}), (std::vector<float>{12, 5, 2}));
}

TEST(Preprocess, ResizeToExactSize) {
  Preprocess preprocess = Identity();
  preprocess.resize_to = {4, 5};
  const auto output = Applied(preprocess, {13, 11, goldens::kSource13x11}, {3, 4, 5});
  for (int i = 0; i < 20; ++i) {
    for (int c = 0; c < 3; ++c) ASSERT_EQ(output[c * 20 + i], goldens::kBilinear5x4[i * 3 + c]);
  }
}

// The longer side is cut off, not rounded: 7 * 13 / 11 = 8.27, 7 * 20 / 11 = 12.7.
TEST(Preprocess, ShorterSideKeepsTheAspectRatio) {
  Preprocess preprocess = Identity();
  preprocess.shorter_side = 7;
  Applied(preprocess, TestImage(11, 13, 1), {3, 7, 8});
  Applied(preprocess, TestImage(11, 20, 1), {3, 7, 12});
  Applied(preprocess, TestImage(20, 11, 1), {3, 12, 7});
  Applied(preprocess, TestImage(9, 9, 1), {3, 7, 7});
  preprocess.shorter_side = 22;
  Applied(preprocess, TestImage(11, 13, 1), {3, 22, 26});
}

// (h - ch) / 2 with halves to the even neighbour: 1 -> 0, 2 -> 1, 3 -> 2, 5 -> 2, 7 -> 4.
TEST(Preprocess, CropOffsetsAreTorchvisions) {
  Image column{1, 9, {}};
  for (int y = 0; y < 9; ++y) column.rgb.insert(column.rgb.end(), 3, static_cast<uint8_t>(y));
  for (const auto& [height, top] : {std::pair{9, 0}, {8, 0}, {7, 1}, {6, 2}, {4, 2}, {2, 4}}) {
    Preprocess preprocess = Identity();
    preprocess.center_crop = {height, 1};
    EXPECT_EQ(Applied(preprocess, column, {3, height, 1})[0], static_cast<float>(top)) << height;
  }
}

TEST(Preprocess, ResizeThenCropIsACropOfTheResize) {
  const Image image = TestImage(50, 71, 5);
  Preprocess preprocess = Identity();
  preprocess.shorter_side = 33;
  preprocess.center_crop = {24, 30};
  const auto output = Applied(preprocess, image, {3, 24, 30});
  // 33 x 46: offsets (33 - 24) / 2 = 4.5 -> 4, (46 - 30) / 2 = 8.
  const auto whole = ResizedBox(image, {33, 46}, {0, 0, 33, 46}, Interpolation::kBilinear);
  for (int y = 0; y < 24; ++y) {
    for (int x = 0; x < 30; ++x) {
      ASSERT_EQ(output[y * 30 + x], whole[((y + 4) * 46 + x + 8) * 3]);
    }
  }
}

TEST(Preprocess, SizesThatDoNotFitAreNamed) {
  Preprocess preprocess;
  std::vector<float> output(3 * 32 * 32);
  Status status = Apply(preprocess, TestImage(30, 31, 1), {3, 32, 32}, output);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("takes [3, 32, 32]"));
  EXPECT_THAT(status.message(), HasSubstr("image is [3, 30, 31]"));

  preprocess.center_crop = {32, 32};
  status = Apply(preprocess, TestImage(30, 40, 1), {3, 32, 32}, output);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("center_crop"));
  EXPECT_THAT(status.message(), HasSubstr("30 x 40 (height x width)"));
  EXPECT_THAT(status.message(), HasSubstr("crop of 32 x 32"));

  preprocess = Preprocess();
  status = Apply(preprocess, TestImage(32, 32, 1), {1, 32, 32}, output);
  EXPECT_THAT(status.message(), HasSubstr("[1, 32, 32]"));
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{}, {3, 32}, {1, 3, 32, 32}, {3, -32, -32}}) {
    EXPECT_EQ(Apply(preprocess, TestImage(32, 32, 1), shape, output).code(),
              StatusCode::kInvalidArgument);
  }
  status = Apply(preprocess, TestImage(32, 32, 1), {3, 32, 32}, std::span(output).first(5));
  EXPECT_THAT(status.message(), HasSubstr("room for 5 values, not 3072"));
}

// The longer side would have 256 * 60,000 pixels, the whole image 12 GB.
TEST(Preprocess, FarAspectRatiosAreRefusedBeforeAllocation) {
  Preprocess preprocess;
  preprocess.shorter_side = 256;
  std::vector<float> output(3 * 224 * 224);
  const Image line{60000, 1, std::vector<uint8_t>(60000 * 3, 9)};
  EXPECT_EQ(Apply(preprocess, line, {3, 224, 224}, output).code(), StatusCode::kInvalidArgument);
  preprocess.center_crop = {224, 224};
  EXPECT_TRUE(Apply(preprocess, line, {3, 224, 224}, output).ok());
  preprocess.shorter_side = 65535;
  EXPECT_EQ(Apply(preprocess, line, {3, 224, 224}, output).code(), StatusCode::kInvalidArgument);
}

TEST(Preprocess, InvalidSettingsAndImagesAreRefused) {
  std::vector<float> output(3 * 8 * 8);
  Preprocess preprocess;
  preprocess.std = {1, 0, 1};
  EXPECT_THAT(Apply(preprocess, TestImage(8, 8, 1), {3, 8, 8}, output).message(), HasSubstr("std"));
  preprocess = Preprocess();
  preprocess.mean = {std::nan(""), 0, 0};
  EXPECT_THAT(Validate(preprocess).message(), HasSubstr("mean: must be finite"));
  preprocess = Preprocess();
  preprocess.scale = std::numeric_limits<double>::infinity();
  EXPECT_THAT(Validate(preprocess).message(), HasSubstr("scale"));
  EXPECT_EQ(Apply(Preprocess(), Image{}, {3, 0, 0}, {}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Apply(Preprocess(), Image{8, 8, {1}}, {3, 8, 8}, output).code(),
            StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace haq::data
