#include "core/data/image_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/core/data/goldens.h"
#include "tests/unit/core/data/test_data.h"

namespace haq::data {
namespace {

using testing::HasSubstr;

std::vector<uint8_t> Bytes(std::string_view text) { return {text.begin(), text.end()}; }

TEST(ImageHeader, TellsFormatAndSize) {
  for (const auto& jpeg :
       {goldens::kJpeg, goldens::kProgressiveJpeg, goldens::kGrayJpeg, goldens::kTurnedJpeg}) {
    const auto header = ReadImageHeader(jpeg);
    ASSERT_TRUE(header.ok()) << header.status().ToString();
    EXPECT_EQ(header->format, ImageFormat::kJpeg);
    EXPECT_EQ(header->width, uint32_t{goldens::kWidth});
    EXPECT_EQ(header->height, uint32_t{goldens::kHeight});
  }
  const auto header = ReadImageHeader(goldens::kPalettePng);
  ASSERT_TRUE(header.ok()) << header.status().ToString();
  EXPECT_EQ(header->format, ImageFormat::kPng);
  EXPECT_EQ(header->width, uint32_t{goldens::kWidth});
  EXPECT_EQ(header->height, uint32_t{goldens::kHeight});
}

TEST(ImageHeader, OtherBytesAreNoImage) {
  for (const char* text : {"", "\xff", "\xff\xd8", "GIF89a", "BM", "hello", "\x89PNG"}) {
    const auto header = ReadImageHeader(Bytes(text));
    EXPECT_EQ(header.status().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(header.status().message(), HasSubstr("neither a JPEG nor a PNG"));
  }
}

TEST(ImageHeader, EveryPrefixIsCutShort) {
  for (const auto& whole : {goldens::kJpeg, goldens::kProgressiveJpeg, goldens::kTurnedJpeg,
                            goldens::kPng, goldens::kPng16}) {
    for (size_t size = 8; size < whole.size(); ++size) {
      const auto header = ReadImageHeader(std::span(whole).first(size));
      ASSERT_EQ(header.status().code(), StatusCode::kInvalidArgument) << size;
      ASSERT_THAT(header.status().message(), HasSubstr("cut short")) << size;
    }
  }
}

TEST(ImageHeader, BytesAfterTheEndAreIgnored) {
  auto jpeg = goldens::kJpeg;
  jpeg.insert(jpeg.end(), {1, 2, 3});
  EXPECT_TRUE(ReadImageHeader(jpeg).ok());
  auto png = goldens::kPng;
  png.insert(png.end(), {1, 2, 3});
  EXPECT_TRUE(ReadImageHeader(png).ok());
}

TEST(ImageHeader, DamagedJpegs) {
  const std::string frame = std::string("\xff\xc0\x00\x0b\x08", 5) + std::string("\0\1\0\1", 4) +
                            std::string("\1\1\x11\0", 4);
  const std::string scan("\xff\xda\x00\x02", 4), start = "\xff\xd8", end = "\xff\xd9";
  ASSERT_TRUE(ReadImageHeader(Bytes(start + frame + scan + end)).ok());
  const std::pair<std::string, const char*> cases[] = {
      {start + end, "no pixels"},
      {start + frame + end, "no pixels"},
      {start + scan + end, "no frame header"},
      {start + frame + frame + scan + end, "two frames"},
      {start + std::string("\xff\xe0\x00\x01", 4) + frame + scan + end, "segment of 1 bytes"},
      {start + std::string("\xff\xc0\x00\x03\x08", 5) + scan + end, "frame header"},
      {start + std::string("\xff\xc0\x00\x08\x08\0\0\0\1\1", 10) + scan + end, "1 x 0"},
  };
  for (const auto& [bytes, message] : cases) {
    const auto header = ReadImageHeader(Bytes(bytes));
    EXPECT_EQ(header.status().code(), StatusCode::kInvalidArgument) << message;
    EXPECT_THAT(header.status().message(), HasSubstr(message));
  }
}

TEST(ImageHeader, ScansAreBounded) {
  const std::string frame("\xff\xc0\x00\x08\x08\0\1\0\1\1", 10), scan("\xff\xda\x00\x02", 4);
  std::string bytes = "\xff\xd8" + frame;
  for (int i = 0; i < 100; ++i) bytes += scan;
  EXPECT_TRUE(ReadImageHeader(Bytes(bytes + "\xff\xd9")).ok());
  const auto header = ReadImageHeader(Bytes(bytes + scan + "\xff\xd9"));
  EXPECT_THAT(header.status().message(), HasSubstr("more than 100 scans"));
}

TEST(ImageHeader, DamagedPngs) {
  auto png = goldens::kPng;
  png[12] = 'J';
  EXPECT_THAT(ReadImageHeader(png).status().message(), HasSubstr("IHDR"));
  png = goldens::kPng;
  for (int i = 16; i < 20; ++i) png[i] = 0;
  EXPECT_THAT(ReadImageHeader(png).status().message(), HasSubstr("no pixels: 0 x 7"));
}

}  // namespace
}  // namespace haq::data
