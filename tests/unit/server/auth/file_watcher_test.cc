#include "server/auth/file_watcher.h"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>

namespace haq::server::auth {
namespace {

class FileWatcherTest : public ::testing::Test {
 protected:
  FileWatcherTest() {
    std::string path = (std::filesystem::temp_directory_path() / "haq-watch-XXXXXX").string();
    folder_ = ::mkdtemp(path.data());
    Write("one", "1");
  }
  ~FileWatcherTest() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
  }
  // Whether `changes_` comes to `count` within a time that is long on any machine.
  bool Reaches(int count) {
    for (int i = 0; i < 2000 && changes_ < count; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return changes_ == count;
  }

  std::filesystem::path folder_;
  std::atomic<int> changes_ = 0;
};

TEST_F(FileWatcherTest, TellsOfEveryKindOfChangeOnce) {
  const FileWatcher watcher({folder_ / "one", folder_ / "two"}, std::chrono::milliseconds(10),
                            [this] { ++changes_; });
  Write("two", "appears");
  EXPECT_TRUE(Reaches(1));
  Write("one", "longer");
  EXPECT_TRUE(Reaches(2));
  Write("next", "LONGER");
  std::filesystem::rename(folder_ / "next", folder_ / "one");
  EXPECT_TRUE(Reaches(3)) << "replaced by a file of the same size";
  std::filesystem::remove(folder_ / "two");
  EXPECT_TRUE(Reaches(4));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(changes_, 4) << "nothing changed";
}

}  // namespace
}  // namespace haq::server::auth
