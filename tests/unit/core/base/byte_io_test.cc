#include "core/base/byte_io.h"

#include <gtest/gtest.h>

namespace haq {
namespace {

TEST(ByteIo, ReadsWhatWasWrittenAndFailsPastTheEnd) {
  ByteWriter writer;
  writer.Write<int32_t>(-5);
  writer.Write(0.1);
  writer.WriteString("text");
  const std::vector<uint8_t> bytes = writer.bytes();
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    ByteReader reader{std::span<const uint8_t>(bytes).first(cut)};
    const auto number = reader.Read<int32_t>();
    const auto real = reader.Read<double>();
    const std::string text = reader.ReadString();
    EXPECT_EQ(reader.failed(), cut < bytes.size()) << cut;
    if (cut == bytes.size()) {
      EXPECT_EQ(number, -5);
      EXPECT_EQ(real, 0.1);
      EXPECT_EQ(text, "text");
      EXPECT_TRUE(reader.AtEnd());
    }
  }
}

TEST(ByteIo, AHugeLengthReadsNothing) {
  ByteWriter writer;
  writer.Write<uint64_t>(~uint64_t{0});
  ByteReader reader(writer.bytes());
  EXPECT_TRUE(reader.ReadBytes().empty());
  EXPECT_TRUE(reader.failed());
}

}  // namespace
}  // namespace haq
