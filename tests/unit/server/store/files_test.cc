#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "core/base/file.h"
#include "server/store/blob_store.h"
#include "server/store/data_folder.h"
#include "server/store/uploads.h"
#include "testing.h"

namespace haq::server::store {
namespace {

using testing::HasSubstr;

std::span<const uint8_t> Bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

class UploadsTest : public testing::Test {
 protected:
  UploadsTest() {
    std::filesystem::create_directory(folder_.path() / "blobs");
    std::filesystem::create_directory(folder_.path() / "uploads");
    Restart();
  }
  void Restart() {
    uploads_ = std::make_unique<Uploads>(folder_.path() / "uploads", blobs_, UploadLimits{1000, 3});
  }

  test::TempFolder folder_;
  BlobStore blobs_{folder_.path() / "blobs"};
  std::unique_ptr<Uploads> uploads_;
  const std::string content_ = "some bytes of a blob";
  const std::string sha256_ = test::Sha256Hex(content_);
  const int64_t size_ = static_cast<int64_t>(content_.size());
};

TEST_F(UploadsTest, EveryPlaceToBreakOff) {
  for (int64_t cut = 0; cut < size_; ++cut) {
    ASSERT_TRUE(uploads_->Start(sha256_, size_).ok());
    ASSERT_TRUE(uploads_->Write(sha256_, 0, Bytes(content_.substr(0, cut))).ok());
    Restart();
    const auto state = uploads_->Start(sha256_, size_);
    ASSERT_TRUE(state.ok());
    ASSERT_EQ(state->committed_bytes, cut);
    ASSERT_FALSE(state->complete);
    const auto done = uploads_->Write(sha256_, cut, Bytes(content_.substr(cut)));
    ASSERT_TRUE(done.ok() && done->complete) << done.status().ToString();
    EXPECT_EQ(*ReadTextFile(blobs_.PathOf(sha256_)), content_);
    EXPECT_TRUE(std::filesystem::is_empty(folder_.path() / "uploads"));
    ASSERT_TRUE(blobs_.Remove(sha256_).ok());
  }
}

// The server died between the last byte and the rename.
TEST_F(UploadsTest, AWholeFileThatWasNotAdopted) {
  const auto path = folder_.path() / "uploads" / fmt::format("{}-{}", sha256_, size_);
  std::ofstream(path) << content_;
  const auto state = uploads_->Start(sha256_, size_);
  ASSERT_TRUE(state.ok());
  EXPECT_TRUE(state->complete);
  EXPECT_EQ(blobs_.Find(sha256_), size_);
}

TEST_F(UploadsTest, AWholeFileOfWrongBytesIsDropped) {
  const auto path = folder_.path() / "uploads" / fmt::format("{}-{}", sha256_, size_);
  std::ofstream(path) << std::string(content_.size(), 'x');
  EXPECT_EQ(uploads_->Start(sha256_, size_).status().code(), StatusCode::kDataLoss);
  const auto state = uploads_->Start(sha256_, size_);
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(state->committed_bytes, 0);
}

TEST_F(UploadsTest, OffsetsMustFit) {
  ASSERT_TRUE(uploads_->Start(sha256_, size_).ok());
  ASSERT_TRUE(uploads_->Write(sha256_, 0, Bytes("some")).ok());
  for (const int64_t offset : {int64_t{0}, int64_t{3}, int64_t{5}, int64_t{-1}}) {
    const auto state = uploads_->Write(sha256_, offset, Bytes("x"));
    EXPECT_EQ(state.status().code(), StatusCode::kFailedPrecondition);
    EXPECT_THAT(state.status().message(), HasSubstr("offset"));
  }
  const auto state = uploads_->Write(sha256_, 4, Bytes(std::string(100, 'x')));
  EXPECT_EQ(state.status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(uploads_->Sync(sha256_)->committed_bytes, 4);
}

TEST_F(UploadsTest, LimitsAndBadRequests) {
  EXPECT_EQ(uploads_->Start(sha256_, 1001).status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(uploads_->Start(sha256_, 0).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(uploads_->Start("../x", 5).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(uploads_->Write("../x", 0, {}).status().code(), StatusCode::kNotFound);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(uploads_->Start(test::Sha256Hex(std::to_string(i)), 10).ok());
  }
  EXPECT_EQ(uploads_->Start(sha256_, size_).status().code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(uploads_->Start(test::Sha256Hex("1"), 10).ok()) << "an open one goes on";
}

TEST_F(UploadsTest, AnotherSizeForADigestStartsAnew) {
  ASSERT_TRUE(uploads_->Start(sha256_, 500).ok());
  ASSERT_TRUE(uploads_->Write(sha256_, 0, Bytes("wrong")).ok());
  const auto state = uploads_->Start(sha256_, size_);
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(state->committed_bytes, 0);
  ASSERT_TRUE(uploads_->Write(sha256_, 0, Bytes(content_))->complete);
  const auto again = uploads_->Start(sha256_, 500);
  EXPECT_EQ(again.status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(again.status().fields().front().field, "size_bytes");
}

TEST_F(UploadsTest, OldOnesAreSwept) {
  ASSERT_TRUE(uploads_->Start(sha256_, size_).ok());
  uploads_->RemoveOlderThan(INT64_MAX);
  EXPECT_FALSE(std::filesystem::is_empty(folder_.path() / "uploads")) << "it is in use";
  Restart();
  uploads_->RemoveOlderThan(0);
  EXPECT_FALSE(std::filesystem::is_empty(folder_.path() / "uploads")) << "it is young";
  uploads_->RemoveOlderThan(INT64_MAX);
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path() / "uploads"));
}

TEST(BlobStore, AReaderKeepsWhatIsRemoved) {
  const test::TempFolder folder;
  BlobStore blobs(folder.path());
  const std::string sha256 = test::Sha256Hex("x");
  EXPECT_EQ(blobs.Open(sha256).status().code(), StatusCode::kNotFound);
  std::ofstream(folder.path() / "temporary") << "x";
  ASSERT_TRUE(blobs.Adopt(folder.path() / "temporary", sha256).ok());
  EXPECT_EQ(blobs.Find(sha256), 1);
  EXPECT_EQ(blobs.ListOlderThan(INT64_MAX), std::vector<std::string>{sha256});
  EXPECT_TRUE(blobs.ListOlderThan(0).empty());

  // Who touches a blob keeps it from being removed as old.
  std::filesystem::last_write_time(
      blobs.PathOf(sha256), std::filesystem::file_time_type::clock::now() - std::chrono::hours(48));
  const int64_t yesterday_us = SystemClock().NowUs() - int64_t{86'400} * 1'000'000;
  EXPECT_EQ(blobs.ListOlderThan(yesterday_us).size(), 1u);
  EXPECT_TRUE(blobs.Touch(sha256).has_value());
  EXPECT_TRUE(blobs.ListOlderThan(yesterday_us).empty());
  EXPECT_EQ(*blobs.RemoveIfOlderThan(sha256, yesterday_us), 0);
  EXPECT_TRUE(blobs.Find(sha256).has_value());
  const auto file = blobs.Open(sha256);
  ASSERT_TRUE(blobs.Remove(sha256).ok());
  EXPECT_TRUE(blobs.Remove(sha256).ok());
  EXPECT_FALSE(blobs.Find(sha256));
  std::vector<uint8_t> bytes(10);
  EXPECT_EQ(*ReadAt(*file, "blob", 0, bytes), 1u);
  EXPECT_EQ(bytes[0], 'x');
}

TEST(DataFolder, IsMadeAndLocked) {
  const test::TempFolder folder;
  const auto root = folder.path() / "a" / "b";
  {
    const auto data = DataFolder::Open(root);
    ASSERT_TRUE(data.ok()) << data.status().ToString();
    EXPECT_TRUE(std::filesystem::is_directory(data->blobs()));
    EXPECT_TRUE(std::filesystem::is_directory(data->uploads()));
    EXPECT_TRUE(std::filesystem::is_directory(data->checkpoints()));
    EXPECT_EQ(std::filesystem::status(data->worker_socket().parent_path()).permissions(),
              std::filesystem::perms::owner_all);
    const auto second = DataFolder::Open(root);
    EXPECT_EQ(second.status().code(), StatusCode::kFailedPrecondition);
    EXPECT_EQ(second.status().message(),
              fmt::format("data folder {} is in use by another server (process {})", root.string(),
                          ::getpid()));
  }
  EXPECT_TRUE(DataFolder::Open(root.string() + "/").ok()) << "the lock ends with its holder";
}

TEST(DataFolder, ThatCannotBeWritten) {
  const test::TempFolder folder;
  std::ofstream(folder.path() / "file") << "x";
  std::vector<std::filesystem::path> roots = {folder.path() / "file",
                                              folder.path() / "file" / "below", "/proc/haq-data"};
  if (::geteuid() != 0) {
    std::filesystem::create_directory(folder.path() / "locked");
    std::filesystem::permissions(folder.path() / "locked", std::filesystem::perms::owner_read |
                                                               std::filesystem::perms::owner_exec);
    roots.push_back(folder.path() / "locked");
  }
  for (const auto& root : roots) {
    const auto data = DataFolder::Open(root);
    ASSERT_FALSE(data.ok()) << root;
    EXPECT_EQ(data.status().code(), StatusCode::kFailedPrecondition);
    EXPECT_THAT(data.status().message(),
                HasSubstr(fmt::format("data folder {} is not writable: ", root.string())));
  }
  EXPECT_EQ(DataFolder::Open("").status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace haq::server::store
