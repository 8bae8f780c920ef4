#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/data/dataset.h"
#include "tests/unit/core/data/test_data.h"

namespace haq::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class FolderTest : public FolderFixture {
 protected:
  void Touch(const std::string& name) { Write(folder_ / name, std::string_view("x")); }
  static std::vector<std::string> Keys(const FolderListing& listing) {
    std::vector<std::string> keys;
    for (const FolderEntry& entry : listing.entries) keys.push_back(entry.key);
    return keys;
  }
  static std::vector<int64_t> Labels(const FolderListing& listing) {
    std::vector<int64_t> labels;
    for (const FolderEntry& entry : listing.entries) labels.push_back(entry.label.value_or(-1));
    return labels;
  }
  void ExpectInvalid(const Result<FolderListing>& listing, const char* message) {
    ASSERT_EQ(listing.status().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(listing.status().message(), HasSubstr(message));
    EXPECT_THAT(listing.status().message(), HasSubstr(folder_.string()));
  }
};

TEST_F(FolderTest, RoundRobinOverClassesByName) {
  for (const char* name : {"dog/2.png", "dog/1.JPG", "cat/b.jpeg", "cat/a.jpg", "cat/c.Png",
                           "ant/z.jpg", "ant/.hidden.jpg", "ant/notes.txt", ".git/x.jpg"}) {
    Touch(name);
  }
  const auto listing = ListFolder(folder_);
  ASSERT_TRUE(listing.ok()) << listing.status().ToString();
  EXPECT_THAT(Keys(*listing), ElementsAre("ant/z.jpg", "cat/a.jpg", "dog/1.JPG", "cat/b.jpeg",
                                          "dog/2.png", "cat/c.Png"));
  EXPECT_THAT(Labels(*listing), ElementsAre(0, 1, 2, 1, 2, 1));
  EXPECT_THAT(listing->class_names, ElementsAre("ant", "cat", "dog"));
  EXPECT_EQ(listing->entries[4].path, folder_ / "dog" / "2.png");
}

TEST_F(FolderTest, AClassWithoutImagesKeepsItsRank) {
  std::filesystem::create_directories(folder_ / "a");
  Touch("b/1.jpg");
  const auto listing = ListFolder(folder_);
  ASSERT_TRUE(listing.ok()) << listing.status().ToString();
  EXPECT_THAT(Labels(*listing), ElementsAre(1));
}

TEST_F(FolderTest, ImagesWithoutClasses) {
  for (const char* name : {"b.jpg", "a.png", "readme.md"}) Touch(name);
  const auto listing = ListFolder(folder_);
  ASSERT_TRUE(listing.ok()) << listing.status().ToString();
  EXPECT_THAT(Keys(*listing), ElementsAre("a.png", "b.jpg"));
  EXPECT_FALSE(listing->entries[0].label.has_value());
  EXPECT_TRUE(listing->class_names.empty());
}

TEST_F(FolderTest, LabelsFromAFile) {
  Touch("images/n02/1.jpg");
  Touch("images/n00/1.jpg");
  const auto labels = folder_ / "labels.txt";
  Write(labels, std::string_view("n00 tench, Tinca tinca\nn01 goldfish\n\nn02\tshark\n"));
  const auto listing = ListFolder(folder_ / "images", labels);
  ASSERT_TRUE(listing.ok()) << listing.status().ToString();
  EXPECT_THAT(Keys(*listing), ElementsAre("n00/1.jpg", "n02/1.jpg"));
  EXPECT_THAT(Labels(*listing), ElementsAre(0, 3));
  EXPECT_THAT(listing->class_names, ElementsAre("n00", "", "", "n02"));
}

TEST_F(FolderTest, LabelFileErrors) {
  Touch("images/n02/1.jpg");
  const auto images = folder_ / "images", labels = folder_ / "labels.txt";
  EXPECT_EQ(ListFolder(images, labels).status().code(), StatusCode::kNotFound);
  Write(labels, std::string_view("n00\nn01\n"));
  ExpectInvalid(ListFolder(images, labels), "images/n02: the label file");
  Write(labels, std::string_view("n00\nn02\nn00\n"));
  ExpectInvalid(ListFolder(images, labels), "lines 1 and 3 both name the class n00");
  Touch("flat/1.jpg");
  ExpectInvalid(ListFolder(folder_ / "flat", labels), "a label file was given");
}

TEST_F(FolderTest, FoldersThatAreNoDataset) {
  ExpectInvalid(ListFolder(folder_), "no images");
  ExpectInvalid(ListFolder(folder_ / "missing"), "missing: No such file");
  Touch("file");
  ExpectInvalid(ListFolder(folder_ / "file"), "file: Not a directory");
  std::filesystem::create_directories(folder_ / "a");
  ExpectInvalid(ListFolder(folder_), "no images");
  Touch("a/1.jpg");
  Touch("lone.jpg");
  ExpectInvalid(ListFolder(folder_), "lone.jpg: an image beside class folders");
  std::filesystem::remove(folder_ / "lone.jpg");
  Touch("a/deep/1.jpg");
  ExpectInvalid(ListFolder(folder_), "a/deep: a class folder holds images");
}

TEST_F(FolderTest, ReadingGivesTheFilesInOrder) {
  Write(folder_ / "a" / "1.jpg", std::string_view("first"));
  Write(folder_ / "b" / "1.jpg", std::string_view("second"));
  const auto reader = ReadFolder(*ListFolder(folder_));
  auto sample = reader->Next();
  ASSERT_TRUE(sample.ok() && *sample);
  EXPECT_EQ((*sample)->key, "a/1.jpg");
  EXPECT_EQ(Text((*sample)->encoded), "first");
  EXPECT_EQ((*sample)->label, 0);
  std::filesystem::remove(folder_ / "b" / "1.jpg");
  sample = reader->Next();
  EXPECT_EQ(sample.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(sample.status().message(), HasSubstr("b/1.jpg"));
  Write(folder_ / "b" / "1.jpg", std::string_view("again"));
  sample = reader->Next();
  ASSERT_TRUE(sample.ok() && *sample);
  EXPECT_EQ((*sample)->label, 1);
  sample = reader->Next();
  EXPECT_TRUE(sample.ok() && !*sample);
  EXPECT_TRUE(reader->Next().ok());
}

}  // namespace
}  // namespace haq::data
