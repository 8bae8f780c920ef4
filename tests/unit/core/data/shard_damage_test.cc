// Shards that others made, badly or in their own way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "core/data/dataset.h"
#include "tests/unit/core/data/test_data.h"

namespace haq::data {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

std::string PngText(int seed) { return Text(TestPng(seed)); }

class ShardDamageTest : public FolderFixture {
 protected:
  Result<ShardSummary> Check(std::string_view bytes, const ShardLimits& limits = {}) {
    const auto path = folder_ / "shard.tar";
    Write(path, bytes);
    return CheckShard(path, limits);
  }
  void ExpectInvalid(const TarText& tar, const char* message) {
    const auto summary = Check(tar.Finish());
    ASSERT_EQ(summary.status().code(), StatusCode::kInvalidArgument)
        << message << ": " << summary.status().ToString();
    EXPECT_THAT(summary.status().message(), HasSubstr(message));
    EXPECT_THAT(summary.status().message(), HasSubstr("shard.tar"));
  }
};

TEST_F(ShardDamageTest, ShardsOfOthersAreRead) {
  // The label first, folders, other spellings, a label that ends in a newline.
  TarText tar;
  tar.Add("./", "", '5')
      .Add("./train/", "", '5')
      .Add("./train/a.cls", "12\n")
      .Add("./train/a.JPEG", Text(TestJpeg(1)))
      .Add("./train/b.png", PngText(2))
      .Add("./train/b.cls", " 3 ");
  const auto summary = Check(tar.Finish());
  ASSERT_TRUE(summary.ok()) << summary.status().ToString();
  EXPECT_EQ(summary->images, 2);
  EXPECT_TRUE(summary->labelled);
  EXPECT_EQ(summary->max_label, 12);
  // Programs pad an archive to 20 blocks.
  EXPECT_TRUE(Check(tar.Finish() + std::string(8192, '\0')).ok());
}

TEST_F(ShardDamageTest, EntriesThatDoNotPair) {
  ExpectInvalid(TarText().Add("a.cls", "1"), "a.cls: a label without its image");
  ExpectInvalid(TarText().Add("a.cls", "1").Add("b.png", PngText(1)), "a.cls: a label without");
  ExpectInvalid(TarText().Add("a.png", PngText(1)).Add("b.cls", "1"), "b.cls: a label without");
  ExpectInvalid(TarText().Add("a.png", PngText(1)).Add("a.jpg", Text(TestJpeg(1))),
                "a.jpg: a second image");
  ExpectInvalid(TarText().Add("a.png", PngText(1)).Add("a.cls", "1").Add("a.cls", "1"),
                "a.cls: a second label");
  EXPECT_FALSE(Check(TarText().Add("a.png", PngText(1)).Finish())->labelled);
}

TEST_F(ShardDamageTest, LabelsThatAreNoNumbers) {
  for (const char* label :
       {"", " ", "x", "1.5", "-1", "+1", "0x10", "1 2", "2147483648", "99999999999999999999"}) {
    ExpectInvalid(TarText().Add("a.png", PngText(1)).Add("a.cls", label),
                  "a.cls: a label is a decimal number from 0 to 2147483647");
  }
  ExpectInvalid(TarText().Add("a.png", PngText(1)).Add("a.cls", std::string(65, '0')),
                "a.cls: 65 bytes; at most 64");
}

TEST_F(ShardDamageTest, NamesAndKindsOfEntries) {
  for (const char* name : {"a", ".jpg", "a.txt", "a.seg.png", "d/.DS_Store"}) {
    ExpectInvalid(TarText().Add(name, "x"), name);
  }
  ExpectInvalid(TarText().Add("a.jpg", "", '2'), "a.jpg: not a regular file");
  ExpectInvalid(TarText().Add("a.jpg", "", '1'), "a.jpg: not a regular file");
  ExpectInvalid(TarText().Add("a.jpg", "", '6'), "a.jpg: not a regular file");
  ExpectInvalid(TarText().Add("a\nb.txt", "x"), "a\\x0ab.txt");
}

// Nothing is ever extracted, so a path is only a name.
TEST_F(ShardDamageTest, PathsLeadNowhere) {
  for (const char* name : {"../../outside.png", "/tmp/outside.png"}) {
    const auto summary = Check(TarText().Add(name, PngText(1)).Finish());
    ASSERT_TRUE(summary.ok()) << summary.status().ToString();
    EXPECT_EQ(summary->images, 1);
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(ShardDamageTest, ImagesAreDecoded) {
  ExpectInvalid(TarText().Add("a.png", PngText(1)).Add("b.png", PngText(2).substr(0, 60)),
                "b.png: the PNG image is cut short");
  ExpectInvalid(TarText().Add("a.jpg", "text"), "a.jpg: neither a JPEG nor a PNG");
  ExpectInvalid(TarText(), "no images");
}

TEST_F(ShardDamageTest, LimitsComeBeforeReading) {
  const std::string tar = TarText().Add("a.png", PngText(1)).Finish();
  auto summary = Check(tar, {.max_shard_bytes = tar.size() - 1});
  ASSERT_EQ(summary.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(summary.status().message(), HasSubstr(fmt::format("at most {}", tar.size() - 1)));
  EXPECT_TRUE(Check(tar, {.max_shard_bytes = tar.size()}).ok());
  summary = Check(tar, {.max_entry_bytes = TestPng(1).size() - 1});
  ASSERT_EQ(summary.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(summary.status().message(), HasSubstr("a.png"));

  ExpectInvalid(TarText().AddHeader("a.png", (uint64_t{8} << 30) - 1).AddContent("x"),
                "a.png: 8589934591 bytes; at most 67108864");
  summary = Check(TarText().AddHeader("a.png", 60 << 20).AddContent("x").Finish());
  EXPECT_EQ(summary.status().code(), StatusCode::kDataLoss) << summary.status().ToString();
}

TEST_F(ShardDamageTest, MissingAndForeignFiles) {
  EXPECT_EQ(CheckShard(folder_ / "missing.tar").status().code(), StatusCode::kNotFound);
  const auto missing = ReadShards({folder_ / "missing.tar"})->Next();
  EXPECT_EQ(missing.status().code(), StatusCode::kNotFound);
  for (const std::string& bytes : {std::string(), std::string("hello"), std::string(1024, 'x'),
                                   std::string(512, '\0'), std::string("\x1f\x8b\x08", 3)}) {
    EXPECT_EQ(Check(bytes).status().code(), StatusCode::kDataLoss) << bytes.size();
  }
  EXPECT_EQ(Check(std::string(2048, 'x') + std::string(1024, '\0')).status().code(),
            StatusCode::kDataLoss);
}

TEST_F(ShardDamageTest, EveryCutIsNoticed) {
  const std::string whole = TarText()
                                .Add("a.png", PngText(1))
                                .Add("a.cls", "1")
                                .Add("b.png", PngText(2))
                                .Add("b.cls", "2")
                                .Finish();
  ASSERT_TRUE(Check(whole).ok());
  for (size_t size = 0; size < whole.size(); size += size % 512 < 3 || size % 512 > 508 ? 1 : 11) {
    const auto summary = Check(std::string_view(whole).substr(0, size));
    ASSERT_EQ(summary.status().code(), StatusCode::kDataLoss) << size;
    ASSERT_THAT(summary.status().message(), HasSubstr("shard.tar")) << size;
  }
}

TEST_F(ShardDamageTest, DamagedHeadersAreNoticed) {
  const std::string whole = TarText().Add("a.png", PngText(1)).Add("a.cls", "1").Finish();
  for (const size_t header : {size_t{0}, whole.size() - 2048}) {
    for (size_t i = 0; i < 512; i += 7) {
      std::string damaged = whole;
      damaged[header + i] ^= 1;
      ASSERT_FALSE(Check(damaged).ok()) << "header " << header << " byte " << i;
    }
  }
}

TEST_F(ShardDamageTest, RandomDamageIsAnswered) {
  const char* seed_text = std::getenv("HAQ_TEST_SEED");
  const unsigned seed = seed_text == nullptr ? 1u : std::strtoul(seed_text, nullptr, 10);
  SCOPED_TRACE(fmt::format("HAQ_TEST_SEED={}", seed));
  std::mt19937 random(seed);
  const std::string whole =
      TarText().Add("a.png", PngText(1)).Add("a.cls", "1").Add("b.jpg", Text(TestJpeg(2))).Finish();
  for (int round = 0; round < 400; ++round) {
    std::string damaged = whole;
    for (int i = random() % 8; i >= 0; --i) damaged[random() % damaged.size()] = random();
    const auto summary = Check(damaged);
    if (!summary.ok()) {
      ASSERT_THAT(summary.status().code(),
                  AnyOf(StatusCode::kInvalidArgument, StatusCode::kDataLoss))
          << summary.status().ToString();
    }
  }
}

TEST_F(ShardDamageTest, AFailureInALaterShardComesAfterTheSamplesBefore) {
  Write(folder_ / "0.tar", TarText().Add("a.png", PngText(1)).Finish());
  Write(folder_ / "1.tar", TarText().Add("b.txt", "x").Finish());
  const auto reader = ReadShards({folder_ / "0.tar", folder_ / "1.tar"});
  const auto first = reader->Next();
  ASSERT_TRUE(first.ok() && *first) << first.status().ToString();
  EXPECT_EQ((*first)->key, "a.png");
  const auto second = reader->Next();
  ASSERT_EQ(second.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(second.status().message(), HasSubstr("1.tar: b.txt"));
}

// A group never reaches over the end of a shard.
TEST_F(ShardDamageTest, ShardsAreApart) {
  Write(folder_ / "0.tar", TarText().Add("a.png", PngText(1)).Finish());
  Write(folder_ / "1.tar", TarText().Add("a.png", PngText(2)).Add("a.cls", "5").Finish());
  const auto reader = ReadShards({folder_ / "0.tar", folder_ / "1.tar"});
  EXPECT_FALSE((**reader->Next()).label.has_value());
  EXPECT_EQ((**reader->Next()).label, 5);
  EXPECT_FALSE(reader->Next()->has_value());
}

}  // namespace
}  // namespace haq::data
