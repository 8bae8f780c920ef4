#include "server/app/storage_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/file.h"
#include "testing.h"

namespace haq::server::app {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(StorageMetricsTest, CountsWhatTheFolderHolds) {
  test::TempFolder folder;
  const auto data = store::DataFolder::Open(folder.path() / "data").value();
  metrics::Metrics metrics;
  StorageMetrics storage(data, metrics);
  std::filesystem::create_directories(data.blobs() / "ab");
  ASSERT_TRUE(WriteFileDurably(data.blobs() / "ab" / "abc", std::string(1000, 'x')).ok());
  ASSERT_TRUE(WriteFileDurably(data.blobs() / "ab" / "abd", std::string(234, 'x')).ok());
  ASSERT_TRUE(WriteFileDurably(data.database(), std::string(50, 'x')).ok());
  ASSERT_TRUE(WriteFileDurably(data.database().string() + "-wal", std::string(7, 'x')).ok());
  storage.Update();
  const std::string text = metrics.Scrape();
  EXPECT_THAT(text, HasSubstr("haq_store_blobs 2\n"));
  EXPECT_THAT(text, HasSubstr("haq_store_blob_bytes 1234\n"));
  EXPECT_THAT(text, HasSubstr("haq_store_database_bytes 57\n"));
  EXPECT_THAT(text, Not(HasSubstr("haq_store_free_bytes 0\n")));
  // Scraping often does not read the folder often.
  std::filesystem::remove(data.blobs() / "ab" / "abd");
  storage.Update();
  EXPECT_THAT(metrics.Scrape(), HasSubstr("haq_store_blobs 2\n"));
}

}  // namespace
}  // namespace haq::server::app
