#include "core/data/resize.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/unit/core/data/goldens.h"
#include "tests/unit/core/data/test_data.h"

namespace haq::data {
namespace {

const Image& Source() {
  static const Image image{13, 11, goldens::kSource13x11};
  return image;
}

std::vector<uint8_t> Resized(const Image& image, int height, int width, Interpolation how) {
  return ResizedBox(image, {height, width}, {0, 0, height, width}, how);
}

TEST(Resize, SamePixelsAsPillow) {
  constexpr auto kBilinear = Interpolation::kBilinear;
  EXPECT_EQ(Resized(Source(), 4, 5, kBilinear), goldens::kBilinear5x4);
  EXPECT_EQ(Resized(Source(), 3, 13, kBilinear), goldens::kBilinear13x3);
  EXPECT_EQ(Resized(Source(), 11, 4, kBilinear), goldens::kBilinear4x11);
  EXPECT_EQ(Resized(Source(), 20, 17, kBilinear), goldens::kBilinear17x20);
  EXPECT_EQ(Resized(Source(), 1, 1, kBilinear), goldens::kBilinear1x1);
  constexpr auto kBicubic = Interpolation::kBicubic;
  EXPECT_EQ(Resized(Source(), 4, 5, kBicubic), goldens::kBicubic5x4);
  EXPECT_EQ(Resized(Source(), 3, 13, kBicubic), goldens::kBicubic13x3);
  EXPECT_EQ(Resized(Source(), 11, 4, kBicubic), goldens::kBicubic4x11);
  EXPECT_EQ(Resized(Source(), 20, 17, kBicubic), goldens::kBicubic17x20);
  EXPECT_EQ(Resized(Source(), 1, 1, kBicubic), goldens::kBicubic1x1);
}

TEST(Resize, NearestTakesThePixelUnderTheCentre) {
  const Image row{4, 1, {0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3}};
  EXPECT_EQ(Resized(row, 1, 2, Interpolation::kNearest), (std::vector<uint8_t>{1, 1, 1, 3, 3, 3}));
  EXPECT_EQ(Resized(row, 1, 1, Interpolation::kNearest), (std::vector<uint8_t>{2, 2, 2}));
  EXPECT_EQ(Resized(row, 2, 8, Interpolation::kNearest).size(), size_t{2 * 8 * 3});
  EXPECT_EQ(Resized(row, 1, 8, Interpolation::kNearest)[3], 0);
  EXPECT_EQ(Resized(row, 1, 8, Interpolation::kNearest)[6], 1);
}

TEST(Resize, BoxIsAPartOfTheWhole) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    const auto how = static_cast<Interpolation>(random() % 3);
    const int height = 1 + random() % 25, width = 1 + random() % 25;
    Box box;
    box.height = 1 + random() % height;
    box.width = 1 + random() % width;
    box.top = random() % (height - box.height + 1);
    box.left = random() % (width - box.width + 1);
    const auto whole = Resized(Source(), height, width, how);
    const auto part = ResizedBox(Source(), {height, width}, box, how);
    ASSERT_EQ(part.size(), size_t(box.height) * box.width * 3);
    for (int y = 0; y < box.height; ++y) {
      const auto* row = &whole[(size_t(box.top + y) * width + box.left) * 3];
      ASSERT_TRUE(std::equal(row, row + box.width * 3, &part[size_t(y) * box.width * 3]));
    }
  }
}

TEST(Resize, FlatImagesStayFlatAtAnyRatio) {
  for (const int level : {0, 1, 127, 255}) {
    const Image flat{31, 17, std::vector<uint8_t>(31 * 17 * 3, level)};
    for (const auto how : {Interpolation::kBilinear, Interpolation::kBicubic}) {
      for (const auto& [height, width] : std::map<int, int>{{1, 1}, {5, 90}, {17, 3}, {64, 31}}) {
        for (const uint8_t value : Resized(flat, height, width, how)) ASSERT_EQ(value, level);
      }
    }
  }
}

// A crop of an image whose longer side becomes huge costs what the crop costs.
TEST(Resize, FarShapesDoNotAllocateTheWhole) {
  const Image line{60000, 1, std::vector<uint8_t>(60000 * 3, 9)};
  const int width = 60000 * 256;
  const auto part =
      ResizedBox(line, {256, width}, {100, width / 2, 16, 16}, Interpolation::kBicubic);
  EXPECT_EQ(part, std::vector<uint8_t>(16 * 16 * 3, 9));
}

}  // namespace
}  // namespace haq::data
