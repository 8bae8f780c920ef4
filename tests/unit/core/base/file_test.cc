#include "core/base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

namespace haq {
namespace {

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "haq_file_test_XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
};

TEST_F(FileTest, WhatWasWrittenIsReadAndMapped) {
  const auto path = folder_ / "a";
  ASSERT_TRUE(WriteFileDurably(path, std::string_view("old")).ok());
  ASSERT_TRUE(WriteFileDurably(path, std::string_view("newer")).ok());
  EXPECT_EQ(*ReadTextFile(path), "newer");
  const auto mapped = MappedFile::Open(path);
  ASSERT_TRUE(mapped.ok());
  EXPECT_EQ(std::string(mapped->bytes().begin(), mapped->bytes().end()), "newer");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1)
      << "a temporary file was left behind";
}

// A named pipe without a writer would be waited for.
TEST_F(FileTest, OnlyRegularFilesAreMapped) {
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  for (const std::filesystem::path& path :
       {folder_ / "pipe", folder_, std::filesystem::path("/dev/zero")}) {
    const Status status = MappedFile::Open(path).status();
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << path;
    EXPECT_NE(status.message().find("not a regular file"), std::string::npos) << status.message();
  }
}

TEST_F(FileTest, ReleasedPagesComeBack) {
  const std::string text(100'000, 'x');
  ASSERT_TRUE(WriteFileDurably(folder_ / "a", text).ok());
  const auto mapped = MappedFile::Open(folder_ / "a");
  ASSERT_TRUE(mapped.ok());
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(std::string(mapped->bytes().begin(), mapped->bytes().end()), text);
    mapped->ReleasePages();
  }
}

TEST_F(FileTest, FailedWriteLeavesNothing) {
  std::filesystem::create_directory(folder_ / "taken");
  std::ofstream(folder_ / "taken" / "x") << "x";
  const Status status = WriteFileDurably(folder_ / "taken", std::string_view("y"));
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << status.ToString();
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(FileTest, ErrorsNameThePathAndTheLimit) {
  EXPECT_EQ(ReadFile(folder_ / "none").status().code(), StatusCode::kNotFound);
  ASSERT_TRUE(WriteFileDurably(folder_ / "big", std::string(100, 'x')).ok());
  const Status status = ReadFile(folder_ / "big", 99).status();
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_NE(status.message().find("big"), std::string::npos);
  EXPECT_TRUE(ReadFile(folder_ / "big", 100).ok());
  EXPECT_EQ(ReadFile(folder_).status().code(), StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace haq
