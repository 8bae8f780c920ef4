#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/sha256.h"
#include "core/data/dataset.h"
#include "tests/unit/core/data/test_data.h"

namespace haq::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<Sample> Samples(int count) {
  std::vector<Sample> samples;
  for (int i = 0; i < count; ++i) {
    samples.push_back({fmt::format("class{}/{:04}.{}", i % 3, i, i % 2 ? "png" : "jpg"),
                       i % 2 ? TestPng(i) : TestJpeg(i), i % 3});
  }
  return samples;
}

class ShardTest : public FolderFixture {
 protected:
  Result<std::vector<ShardInfo>> Pack(std::vector<Sample> samples, const std::string& name,
                                      const ShardLimits& limits = {},
                                      std::vector<std::string>* skipped = nullptr) {
    ListReader reader(std::move(samples));
    return PackShards(reader, folder_ / name, limits, skipped);
  }
  static std::vector<Sample> ReadAll(const std::vector<ShardInfo>& shards) {
    std::vector<std::filesystem::path> paths;
    for (const ShardInfo& shard : shards) paths.push_back(shard.path);
    const auto reader = ReadShards(paths);
    std::vector<Sample> samples;
    while (true) {
      auto sample = reader->Next();
      EXPECT_TRUE(sample.ok()) << sample.status().ToString();
      if (!sample.ok() || !*sample) return samples;
      samples.push_back(**std::move(sample));
    }
  }
};

TEST_F(ShardTest, WhatIsPackedIsReadInOrder) {
  auto samples = Samples(25);
  samples[4].label = std::nullopt;
  const auto shards = Pack(samples, "s", {.max_shard_bytes = 12'000});
  ASSERT_TRUE(shards.ok()) << shards.status().ToString();
  ASSERT_GT(shards->size(), 2u);
  int64_t images = 0;
  for (size_t i = 0; i < shards->size(); ++i) {
    const ShardInfo& shard = (*shards)[i];
    EXPECT_EQ(shard.path, folder_ / "s" / fmt::format("shard-{:05}.tar", i));
    const std::string bytes = Read(shard.path);
    EXPECT_EQ(shard.size_bytes, bytes.size());
    EXPECT_LE(bytes.size(), 12'000u);
    const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
    EXPECT_EQ(shard.sha256, ToHex(Sha256Of({data, bytes.size()})));
    const auto summary = CheckShard(shard.path);
    ASSERT_TRUE(summary.ok()) << summary.status().ToString();
    EXPECT_EQ(summary->images, shard.images);
    images += shard.images;
  }
  EXPECT_EQ(images, 25);
  const auto read = ReadAll(*shards);
  ASSERT_EQ(read.size(), samples.size());
  for (size_t i = 0; i < read.size(); ++i) {
    EXPECT_EQ(read[i].encoded, samples[i].encoded);
    EXPECT_EQ(read[i].label, samples[i].label);
  }
  EXPECT_EQ(read[1].key, "class1_0001.png");
}

TEST_F(ShardTest, SameSamplesGiveTheSameBytesAndPackingAgainToo) {
  const ShardLimits limits{.max_shard_bytes = 20'000};
  const auto first = Pack(Samples(40), "a", limits), second = Pack(Samples(40), "b", limits);
  ASSERT_TRUE(first.ok() && second.ok());
  const auto third = Pack(ReadAll(*first), "c", limits);
  ASSERT_TRUE(third.ok()) << third.status().ToString();
  ASSERT_EQ(first->size(), second->size());
  ASSERT_EQ(first->size(), third->size());
  for (size_t i = 0; i < first->size(); ++i) {
    EXPECT_EQ(Read((*first)[i].path), Read((*second)[i].path));
    EXPECT_EQ((*first)[i].sha256, (*third)[i].sha256);
  }
}

// Every byte that libarchive writes is known: no time, no user, no padding to 10 KiB.
TEST_F(ShardTest, BytesAreThoseOfThePlainFormat) {
  const auto shards = Pack({{"a/x.png", TestPng(1), 7}}, "s");
  ASSERT_TRUE(shards.ok());
  const std::string written = Read((*shards)[0].path);
  const std::string expected =
      TarText().Add("a_x.png", Text(TestPng(1))).Add("a_x.cls", "7").Finish();
  ASSERT_EQ(written.size(), expected.size());
  for (const auto& [offset, length] : {std::pair{0, 100}, {124, 11}, {156, 101}, {265, 64}}) {
    EXPECT_EQ(written.substr(offset, length), expected.substr(offset, length)) << offset;
  }
  EXPECT_EQ(std::strtol(written.substr(108, 8).c_str(), nullptr, 8), 0) << "user";
  EXPECT_EQ(std::strtol(written.substr(116, 8).c_str(), nullptr, 8), 0) << "group";
  EXPECT_EQ(std::strtol(written.substr(136, 12).c_str(), nullptr, 8), 0) << "time";
  EXPECT_EQ(written.substr(512, TestPng(1).size()), Text(TestPng(1)));
}

TEST_F(ShardTest, KeysThatWouldMeetAreKeptApart) {
  const auto shards = Pack({{"x.jpg", TestJpeg(1), 1},
                            {"x.png", TestPng(2), 2},
                            {std::string(500, 'l') + ".png", TestPng(3), 3}},
                           "s");
  ASSERT_TRUE(shards.ok()) << shards.status().ToString();
  const auto read = ReadAll(*shards);
  ASSERT_EQ(read.size(), 3u);
  EXPECT_EQ(read[0].key, "x.jpg");
  EXPECT_EQ(read[1].key, "x_png.png");
  EXPECT_EQ(read[1].label, 2);
  EXPECT_EQ(read[2].label, 3);
}

TEST_F(ShardTest, ExtensionFollowsTheContent) {
  const auto shards = Pack({{"photo.jpg", TestPng(1), {}}}, "s");
  ASSERT_TRUE(shards.ok());
  EXPECT_EQ(ReadAll(*shards)[0].key, "photo.png");
}

TEST_F(ShardTest, BadImageFailsWithItsKeyOrIsSkipped) {
  auto samples = Samples(5);
  samples[2].encoded.resize(samples[2].encoded.size() - 2);
  samples[4].encoded = {'t', 'e', 'x', 't'};
  auto shards = Pack(samples, "s");
  ASSERT_EQ(shards.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(shards.status().message(), HasSubstr("class2/0002.jpg: the JPEG image is cut short"));
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "s")) << "an unfinished shard was left behind";

  std::vector<std::string> skipped;
  shards = Pack(samples, "s", {}, &skipped);
  ASSERT_TRUE(shards.ok()) << shards.status().ToString();
  EXPECT_THAT(skipped, ElementsAre("class2/0002.jpg", "class1/0004.jpg"));
  EXPECT_EQ((*shards)[0].images, 3);
  EXPECT_EQ(ReadAll(*shards).size(), 3u);
}

TEST_F(ShardTest, NothingToPackIsAnError) {
  EXPECT_EQ(Pack({}, "s").status().code(), StatusCode::kInvalidArgument);
  std::vector<std::string> skipped;
  const auto shards = Pack({{"a.jpg", {1, 2, 3}, 0}}, "s", {}, &skipped);
  ASSERT_EQ(shards.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(shards.status().message(), HasSubstr("1 were left out"));
}

TEST_F(ShardTest, LimitsOfASingleImage) {
  const uint64_t content = (TestPng(1).size() + 511) / 512 * 512;
  const uint64_t exact = 512 + content + 512 + 512 + 1024;
  EXPECT_TRUE(Pack({{"a.png", TestPng(1), 0}}, "s", {.max_shard_bytes = exact}).ok());
  for (const ShardLimits& limits : {ShardLimits{.max_shard_bytes = exact - 1},
                                    ShardLimits{.max_entry_bytes = TestPng(1).size() - 1}}) {
    const auto shards = Pack({{"a.png", TestPng(1), 0}}, "s", limits);
    ASSERT_EQ(shards.status().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(shards.status().message(), HasSubstr("a.png"));
  }
}

TEST_F(ShardTest, LabelsAreBounded) {
  for (const int64_t label : {int64_t{-1}, int64_t{1} << 31}) {
    const auto shards = Pack({{"a.png", TestPng(1), label}}, "s");
    ASSERT_EQ(shards.status().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(shards.status().message(), HasSubstr(fmt::format("a.png: the label {}", label)));
  }
  EXPECT_TRUE(Pack({{"a.png", TestPng(1), (int64_t{1} << 31) - 1}}, "s").ok());
}

TEST_F(ShardTest, ProgressCountsEveryImage) {
  ListReader reader(Samples(4));
  std::vector<int64_t> counts;
  ASSERT_TRUE(
      PackShards(reader, folder_ / "s", {}, nullptr, [&](int64_t n) { counts.push_back(n); }).ok());
  EXPECT_THAT(counts, ElementsAre(1, 2, 3, 4));
}

TEST_F(ShardTest, FailureOfTheSourceEndsPacking) {
  Write(folder_ / "in" / "a.png", TestPng(1));
  Write(folder_ / "in" / "b.png", TestPng(2));
  const auto reader = ReadFolder(*ListFolder(folder_ / "in"));
  std::filesystem::remove(folder_ / "in" / "b.png");
  const auto shards = PackShards(*reader, folder_ / "s");
  ASSERT_EQ(shards.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(shards.status().message(), HasSubstr("b.png"));
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "s"));
}

TEST_F(ShardTest, FolderThatCannotBeMade) {
  Write(folder_ / "file", std::string_view("x"));
  EXPECT_EQ(Pack(Samples(1), "file/s").status().code(), StatusCode::kFailedPrecondition);
  std::filesystem::create_directories(folder_ / "s" / "shard-00000.tar");
  const auto shards = Pack(Samples(1), "s");
  EXPECT_EQ(shards.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(shards.status().message(), HasSubstr("shard-00000.tar"));
}

TEST_F(ShardTest, CheckShardCounts) {
  auto samples = Samples(6);
  auto shards = Pack(samples, "s");
  auto summary = CheckShard((*shards)[0].path);
  ASSERT_TRUE(summary.ok()) << summary.status().ToString();
  EXPECT_EQ(summary->images, 6);
  EXPECT_TRUE(summary->labelled);
  EXPECT_EQ(summary->max_label, 2);
  samples[3].label = std::nullopt;
  shards = Pack(samples, "s");
  EXPECT_FALSE(CheckShard((*shards)[0].path)->labelled);
  for (Sample& sample : samples) sample.label = std::nullopt;
  shards = Pack(samples, "s");
  EXPECT_EQ(CheckShard((*shards)[0].path)->max_label, -1);
}

}  // namespace
}  // namespace haq::data
