#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/data/preprocess.h"
#include "tests/unit/core/data/goldens.h"
#include "tests/unit/core/data/test_data.h"

namespace haq::data {
namespace {

using testing::HasSubstr;

struct Golden {
  const char* name;
  const std::vector<uint8_t>&encoded, &pixels;
};
const Golden kGoldens[] = {
    {"jpeg", goldens::kJpeg, goldens::kJpegPixels},
    {"progressive jpeg", goldens::kProgressiveJpeg, goldens::kProgressiveJpegPixels},
    {"grey jpeg", goldens::kGrayJpeg, goldens::kGrayJpegPixels},
    {"jpeg with EXIF orientation", goldens::kTurnedJpeg, goldens::kTurnedJpegPixels},
    {"png", goldens::kPng, goldens::kPngPixels},
    {"grey png", goldens::kGrayPng, goldens::kGrayPngPixels},
    {"palette png", goldens::kPalettePng, goldens::kPalettePngPixels},
    {"rgba png", goldens::kRgbaPng, goldens::kRgbaPngPixels},
    {"png with 16 bits a channel", goldens::kPng16, goldens::kPng16Pixels},
};

TEST(Decode, SamePixelsAsPillow) {
  for (const Golden& golden : kGoldens) {
    const auto image = DecodeImage(golden.encoded);
    ASSERT_TRUE(image.ok()) << golden.name << ": " << image.status().ToString();
    EXPECT_EQ(image->width, goldens::kWidth) << golden.name;
    EXPECT_EQ(image->height, goldens::kHeight) << golden.name;
    EXPECT_EQ(image->rgb, golden.pixels) << golden.name;
  }
}

TEST(Decode, EveryPrefixIsAnError) {
  for (const Golden& golden : kGoldens) {
    for (size_t size = 0; size < golden.encoded.size(); ++size) {
      const auto image = DecodeImage(std::span(golden.encoded).first(size));
      ASSERT_EQ(image.status().code(), StatusCode::kInvalidArgument) << golden.name << " " << size;
    }
  }
}

// An image that was cut and closed again by a program that did not look: for PNG the checksums say
// so.
TEST(Decode, PngWithBrokenDataIsAnError) {
  const size_t data = 8 + 25 + 8;  // signature, IHDR, head of IDAT
  auto png = goldens::kPng;
  png[data + 20] ^= 0x55;
  const auto image = DecodeImage(png);
  ASSERT_EQ(image.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(image.status().message(), HasSubstr("PNG image (9 x 7) is damaged"));
}

TEST(Decode, AnyChangedByteIsAnswered) {
  for (const Golden& golden : kGoldens) {
    for (size_t i = 0; i < golden.encoded.size(); ++i) {
      auto encoded = golden.encoded;
      encoded[i] ^= 0xff;
      const auto image = DecodeImage(encoded, {.max_pixels = 1 << 20});
      if (image.ok()) {
        ASSERT_EQ(image->rgb.size(), size_t(image->width) * image->height * 3);
      } else {
        ASSERT_EQ(image.status().code(), StatusCode::kInvalidArgument);
      }
    }
  }
}

TEST(Decode, DeclaredSizeIsBoundedBeforeAllocation) {
  auto png = goldens::kPng;
  for (const int i : {16, 20}) png[i] = 0x7f;  // about 2 thousand million pixels each way
  auto image = DecodeImage(png);
  ASSERT_EQ(image.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(image.status().message(), HasSubstr("at most 100000000 pixels"));

  auto jpeg = goldens::kJpeg;
  const std::vector<uint8_t> frame{0xff, 0xc0, 0x00, 0x11, 0x08};
  const auto at = std::search(jpeg.begin(), jpeg.end(), frame.begin(), frame.end());
  ASSERT_NE(at, jpeg.end());
  std::fill_n(at + 5, 4, 0xff);
  image = DecodeImage(jpeg);
  ASSERT_EQ(image.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(image.status().message(), HasSubstr("65535 x 65535"));
}

TEST(Decode, LimitsAreExact) {
  const auto pixels = uint64_t{goldens::kWidth} * goldens::kHeight;
  EXPECT_TRUE(DecodeImage(goldens::kPng, {.max_pixels = pixels}).ok());
  EXPECT_FALSE(DecodeImage(goldens::kPng, {.max_pixels = pixels - 1}).ok());
  const uint64_t bytes = goldens::kPng.size();
  EXPECT_TRUE(DecodeImage(goldens::kPng, {.max_encoded_bytes = bytes}).ok());
  const auto image = DecodeImage(goldens::kPng, {.max_encoded_bytes = bytes - 1});
  ASSERT_EQ(image.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(image.status().message(), HasSubstr(fmt::format("at most {}", bytes - 1)));
}

TEST(Decode, OtherFormatsThatTheLibraryKnowsAreRefused) {
  const std::string pnm = "P6\n2 2\n255\n" + std::string(12, 'x');
  const auto image = DecodeImage(std::vector<uint8_t>(pnm.begin(), pnm.end()));
  ASSERT_EQ(image.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(image.status().message(), HasSubstr("neither a JPEG nor a PNG"));
}

TEST(Encode, RefusesImpossibleImages) {
  EXPECT_EQ(EncodePng({2, 2, {1, 2, 3}}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(EncodePng({}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(EncodeJpeg(TestImage(2, 2, 1), 0).status().message(), HasSubstr("quality"));
}

TEST(Encode, PngIsLossless) {
  const Image image = TestImage(13, 7, 3);
  EXPECT_EQ(DecodeImage(*EncodePng(image))->rgb, image.rgb);
}

}  // namespace
}  // namespace haq::data
