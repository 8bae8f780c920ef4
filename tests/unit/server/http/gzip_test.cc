#include "server/http/gzip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace haq::server::http {
namespace {

using ::testing::HasSubstr;

std::string Text(size_t size) {
  std::string text;
  for (size_t i = 0; text.size() < size; ++i) text += std::to_string(i * i) + ",";
  text.resize(size);
  return text;
}

TEST(GzipTest, BothEncodingsComeBack) {
  for (const char* encoding : {"gzip", "deflate"}) {
    for (const size_t size : {size_t{0}, size_t{1}, size_t{65'536}, size_t{1'000'000}}) {
      const std::string packed = Compress(encoding, Text(size));
      EXPECT_TRUE(size <= 1000 || packed.size() < size);
      const auto back = Decompress(encoding, packed, size);
      ASSERT_TRUE(back.ok()) << back.status().ToString();
      EXPECT_EQ(*back, Text(size));
    }
  }
  EXPECT_EQ(Decompress("", "as it is", 0).value(), "as it is");
  EXPECT_EQ(Decompress("Identity", "as it is", 0).value(), "as it is");
  EXPECT_EQ(Decompress(" X-GZIP ", Compress("gzip", "x"), 1).value(), "x");
}

TEST(GzipTest, ABombStopsAtTheLimit) {
  const std::string bomb = Compress("gzip", std::string(50'000'000, '\0'));
  ASSERT_LT(bomb.size(), 500'000u);
  const auto refused = Decompress("gzip", bomb, 1'000'000);
  EXPECT_EQ(refused.status().code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(refused.status().message(), HasSubstr("more than 1000000 bytes"));
  EXPECT_TRUE(Decompress("gzip", Compress("gzip", Text(1000)), 1000).ok());
  EXPECT_FALSE(Decompress("gzip", Compress("gzip", Text(1000)), 999).ok());
}

TEST(GzipTest, EveryCutAndEveryChangedByteIsFoundOrHarmless) {
  const std::string text = Text(300), packed = Compress("gzip", text);
  for (size_t size = 0; size < packed.size(); ++size) {
    EXPECT_EQ(Decompress("gzip", packed.substr(0, size), 1000).status().code(),
              StatusCode::kInvalidArgument)
        << size;
  }
  for (size_t i = 0; i < packed.size(); ++i) {
    std::string changed = packed;
    changed[i] ^= 0x20;
    const auto back = Decompress("gzip", changed, 1000);
    // Only the header has bytes that mean nothing.
    EXPECT_TRUE(!back.ok() || *back == text) << i;
  }
  EXPECT_THAT(Decompress("gzip", packed + "x", 1000).status().message(),
              HasSubstr("1 bytes after the end of its gzip"));
  EXPECT_THAT(Decompress("deflate", packed, 1000).status().message(),
              HasSubstr("not valid deflate"));
  EXPECT_EQ(Decompress("br", packed, 1000).status().code(), StatusCode::kUnsupported);
}

TEST(GzipTest, ChoosesWhatTheClientTakes) {
  EXPECT_EQ(ChooseEncoding("gzip, deflate, br"), "gzip");
  EXPECT_EQ(ChooseEncoding("deflate;q=1, gzip;q=0.5"), "gzip");
  EXPECT_EQ(ChooseEncoding("br, Deflate"), "deflate");
  EXPECT_EQ(ChooseEncoding("gzip;q=0, deflate"), "deflate");
  EXPECT_EQ(ChooseEncoding("gzip; q=0.0"), "");
  EXPECT_EQ(ChooseEncoding("*"), "gzip");
  EXPECT_EQ(ChooseEncoding("identity"), "");
  EXPECT_EQ(ChooseEncoding(""), "");
  EXPECT_EQ(ChooseEncoding(",,;q=,"), "");
}

}  // namespace
}  // namespace haq::server::http
