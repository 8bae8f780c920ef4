#include "core/data/shard_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace haq::data {
namespace {

using testing::HasSubstr;

TEST(ShardNames, KeysHaveNoSlashAndNoDot) {
  EXPECT_EQ(KeyOf("airplane/0001.jpg", ""), "airplane_0001");
  EXPECT_EQ(KeyOf("a/b.c/d.e.png", ""), "a_b_c_d_e");
  EXPECT_EQ(KeyOf("x", ""), "x");
  EXPECT_EQ(KeyOf("a.b/x", ""), "a_b_x");
  EXPECT_EQ(KeyOf("red car+1=2@,%.jpg", ""), "red%20car+1=2@,%");
  EXPECT_EQ(KeyOf("\xe7\x8c\xab/\n.png", ""), "%E7%8C%AB_%0A");
  EXPECT_EQ(KeyOf(".jpg", ""), "_");
  EXPECT_EQ(KeyOf("../../etc/passwd.jpg", ""), "______etc_passwd");
}

TEST(ShardNames, NeighboursDiffer) {
  EXPECT_EQ(KeyOf("x.jpg", "y"), "x");
  EXPECT_EQ(KeyOf("x.png", "x"), "x_png");
  EXPECT_EQ(KeyOf("x", "x"), "x_");
}

TEST(ShardNames, LongKeysAreShortenedAndStayApart) {
  const std::string path(300, 'p');
  const std::string a = KeyOf(path + "a.jpg", ""), b = KeyOf(path + "b.jpg", "");
  EXPECT_EQ(a.size(), 80u);
  EXPECT_NE(a, b);
  EXPECT_EQ(a.substr(0, 63), path.substr(0, 63));
  EXPECT_NE(KeyOf(path + "a.jpg", a), a);
}

TEST(ShardNames, AKeyIsItsOwnKey) {
  for (const std::string path : {"a/b.jpg", "a b/c.png", "\xff.jpg", ".jpg"}) {
    const std::string key = KeyOf(path, "");
    EXPECT_EQ(KeyOf(key + ".jpg", ""), key);
  }
  const std::string key = KeyOf(std::string(300, '/') + ".jpg", "");
  EXPECT_EQ(KeyOf(key + ".jpg", ""), key);
}

TEST(ShardNames, EntriesAreSplitAtTheFirstDotOfTheLastPart) {
  auto name = ParseEntryName("train.d/x1.JPEG");
  ASSERT_TRUE(name.ok()) << name.status().ToString();
  EXPECT_EQ(name->key, "train.d/x1");
  EXPECT_EQ(name->kind, EntryKind::kImage);
  EXPECT_EQ(ParseEntryName("x.cls")->kind, EntryKind::kLabel);
  EXPECT_EQ(ParseEntryName("x.png")->kind, EntryKind::kImage);
  EXPECT_EQ(ParseEntryName("\xe7\n.png")->printable, "\\xe7\\x0a.png");
}

TEST(ShardNames, OtherNamesAreRefusedAndNamed) {
  for (const char* text :
       {"", "x", "a/b", ".jpg", "a.b/.cls", "x.", "x.txt", "x.seg.png", "x.jpg.cls", "x.jpg/"}) {
    const auto name = ParseEntryName(text);
    EXPECT_EQ(name.status().code(), StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(name.status().message(), HasSubstr(text));
  }
}

}  // namespace
}  // namespace haq::data
