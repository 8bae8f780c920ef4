#include "core/data/random_images.h"

#include <gtest/gtest.h>

#include <set>

#include "core/data/preprocess.h"

namespace haq::data {
namespace {

std::vector<Sample> ReadAll(SampleReader& reader) {
  std::vector<Sample> samples;
  for (;;) {
    auto sample = reader.Next().value();
    if (!sample) return samples;
    samples.push_back(*std::move(sample));
  }
}

TEST(RandomImages, AreDifferentImagesOfTheSizeWithoutLabels) {
  const auto reader = RandomImages(5, 37, 21);
  const std::vector<Sample> samples = ReadAll(*reader);
  ASSERT_EQ(samples.size(), 5u);
  std::set<std::vector<uint8_t>> pixels;
  std::set<std::string> keys;
  for (const Sample& sample : samples) {
    const Image image = DecodeImage(sample.encoded).value();
    EXPECT_EQ(image.width, 37);
    EXPECT_EQ(image.height, 21);
    // Every activation has a range to calibrate on.
    EXPECT_GT(std::set<uint8_t>(image.rgb.begin(), image.rgb.end()).size(), 100u);
    pixels.insert(image.rgb);
    keys.insert(sample.key);
    EXPECT_FALSE(sample.label.has_value());
  }
  EXPECT_EQ(pixels.size(), 5u);
  EXPECT_EQ(keys.size(), 5u);
}

TEST(RandomImages, AreTheSameEveryTime) {
  const auto first = ReadAll(*RandomImages(3, 16, 16)), second = ReadAll(*RandomImages(3, 16, 16));
  for (size_t i = 0; i < first.size(); ++i) EXPECT_EQ(first[i].encoded, second[i].encoded);
}

}  // namespace
}  // namespace haq::data
