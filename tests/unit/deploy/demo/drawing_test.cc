#include "deploy/demo/drawing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "core/base/sha256.h"
#include "core/data/dataset.h"
#include "deploy/demo/random.h"

namespace haq::demo {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class DrawingTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "haq_drawing_test_XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Relative path -> bytes.
  static std::map<std::string, std::string> Files(const fs::path& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (!entry.is_regular_file()) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      files[fs::relative(entry.path(), folder).string()] = {std::istreambuf_iterator<char>(file),
                                                            {}};
    }
    return files;
  }
  // Exit code; the output of both streams is in `output_`.
  int RunProgram(const std::string& arguments) {
    const std::string log = folder_ / "log";
    const std::string command =
        std::string(HAQ_DEMO_DATA) + " " + arguments + " > " + log + " 2>&1";
    const int status = std::system(command.c_str());
    std::ifstream file(log);
    output_ = {std::istreambuf_iterator<char>(file), {}};
    return WEXITSTATUS(status);
  }

  fs::path folder_;
  std::string output_;
};

// The pixels of the committed network's data set: a change makes its accuracy another one.
TEST(Drawing, PixelsAreTheSameOnEveryMachine) {
  Sha256 digest;
  for (const Split split : {Split::kCalibration, Split::kTest, Split::kTrain}) {
    for (size_t shape = 0; shape < kShapeNames.size(); ++shape) {
      for (int index = 0; index < 4; ++index) {
        digest.Update(DrawImage(1, split, static_cast<Shape>(shape), index).rgb);
      }
    }
  }
  EXPECT_EQ(ToHex(digest.Finish()),
            "df196f9144249d120d1d63d99d2a11f9840ee6c5bf8537d5538fb5a8065245f7");
}

TEST(Drawing, EveryArgumentMatters) {
  const auto base = DrawImage(1, Split::kTest, Shape::kStar, 0).rgb;
  EXPECT_EQ(base, DrawImage(1, Split::kTest, Shape::kStar, 0).rgb);
  EXPECT_NE(base, DrawImage(2, Split::kTest, Shape::kStar, 0).rgb);
  EXPECT_NE(base, DrawImage(1, Split::kTrain, Shape::kStar, 0).rgb);
  EXPECT_NE(base, DrawImage(1, Split::kTest, Shape::kRing, 0).rgb);
  EXPECT_NE(base, DrawImage(1, Split::kTest, Shape::kStar, 1).rgb);
}

TEST(Drawing, RandomNumbersAreThoseOfPcg) {
  // Known answers of this generator with this seeding, from a second implementation.
  Random random(1);
  EXPECT_EQ(random.Next(), 4267018062u);
  EXPECT_EQ(random.Next(), 45075422u);
  for (int i = 0; i < 1000; ++i) {
    const int value = random.Below(7);
    ASSERT_TRUE(value >= 0 && value < 7);
  }
}

TEST(Drawing, DirectionsAreCosineAndSine) {
  for (int i = -300; i <= 300; ++i) {
    const double turns = i / 100.0;
    EXPECT_NEAR(DirectionOf(turns).cos, std::cos(turns * 2 * M_PI), 1e-7);
    EXPECT_NEAR(DirectionOf(turns).sin, std::sin(turns * 2 * M_PI), 1e-7);
  }
}

TEST(Drawing, ShapesHoldWhatTheirNamesSay) {
  EXPECT_TRUE(Contains(Shape::kCircle, 0, 0.8));
  EXPECT_FALSE(Contains(Shape::kCircle, 0.65, 0.65));
  EXPECT_TRUE(Contains(Shape::kSquare, 0.65, 0.65));
  EXPECT_FALSE(Contains(Shape::kRing, 0, 0));
  EXPECT_TRUE(Contains(Shape::kRing, 0, -0.7));
  EXPECT_TRUE(Contains(Shape::kCross, 0, 0.8));
  EXPECT_FALSE(Contains(Shape::kCross, 0.5, 0.5));
  EXPECT_FALSE(Contains(Shape::kCrescent, 0.5, 0));
  EXPECT_TRUE(Contains(Shape::kCrescent, -0.6, 0));
  EXPECT_NE(Contains(Shape::kChecker, 0.2, 0.2), Contains(Shape::kChecker, 0.6, 0.2));
  EXPECT_EQ(Contains(Shape::kStripes, 0.1, 0.7), Contains(Shape::kStripes, 0.1, -0.7));
  for (int point = 0; point < 5; ++point) {
    const Direction tip = DirectionOf(point / 5.0), gap = DirectionOf((point + 0.5) / 5.0);
    EXPECT_TRUE(Contains(Shape::kStar, 0.95 * tip.cos, 0.95 * tip.sin)) << point;
    EXPECT_FALSE(Contains(Shape::kStar, 0.5 * gap.cos, 0.5 * gap.sin)) << point;
  }
  EXPECT_TRUE(Contains(Shape::kTriangle, 0.95, 0));
  EXPECT_FALSE(Contains(Shape::kTriangle, -0.55, 0));
  EXPECT_TRUE(Contains(Shape::kTriangle, -0.45, 0.6));
}

TEST_F(DrawingTest, SameSeedGivesTheSameBytes) {
  const std::string counts = " --calibration 20 --test 30 --train 10 --seed 7";
  ASSERT_EQ(RunProgram((folder_ / "a").string() + counts), 0) << output_;
  ASSERT_EQ(RunProgram((folder_ / "b").string() + counts), 0) << output_;
  EXPECT_EQ(Files(folder_ / "a"), Files(folder_ / "b"));
  ASSERT_EQ(
      RunProgram((folder_ / "c").string() + " --calibration 20 --test 30 --train 10 --seed 8"), 0);
  EXPECT_NE(Files(folder_ / "a"), Files(folder_ / "c"));
}

TEST_F(DrawingTest, FoldersAreDatasets) {
  ASSERT_EQ(RunProgram(folder_.string() + "/a --calibration 25 --test 10"), 0) << output_;
  EXPECT_THAT(output_, HasSubstr("calibration: 25 images"));
  EXPECT_FALSE(fs::exists(folder_ / "a" / "train"));
  const auto listing = data::ListFolder(folder_ / "a" / "calibration");
  ASSERT_TRUE(listing.ok()) << listing.status().ToString();
  EXPECT_EQ(listing->entries.size(), 25u);
  ASSERT_EQ(listing->class_names.size(), kShapeNames.size());
  for (size_t i = 0; i < kShapeNames.size(); ++i)
    EXPECT_EQ(listing->class_names[i], kShapeNames[i]);
  const auto sample = data::ReadFolder(*listing)->Next();
  EXPECT_EQ(data::DecodeImage((*sample)->encoded)->rgb,
            DrawImage(1, Split::kCalibration, Shape::kChecker, 0).rgb);
}

TEST_F(DrawingTest, WrongArgumentsAreNamed) {
  EXPECT_EQ(RunProgram(""), 2);
  EXPECT_THAT(output_, HasSubstr("OUT"));
  EXPECT_EQ(RunProgram(folder_.string() + "/a --test -1"), 2);
  EXPECT_THAT(output_, HasSubstr("--test"));
  EXPECT_EQ(RunProgram(folder_.string() + "/a --seed x"), 2);
  EXPECT_THAT(output_, HasSubstr("--seed"));
  EXPECT_EQ(RunProgram("--help"), 0);
  EXPECT_THAT(output_, HasSubstr("--calibration"));
}

TEST_F(DrawingTest, NothingIsOverwritten) {
  ASSERT_EQ(RunProgram(folder_.string() + "/a --calibration 10 --test 10"), 0) << output_;
  EXPECT_NE(RunProgram(folder_.string() + "/a --calibration 10 --test 10"), 0);
  EXPECT_THAT(output_, HasSubstr("a/calibration exists; remove it first"));
  std::ofstream(folder_ / "file") << "x";
  EXPECT_NE(RunProgram(folder_.string() + "/file/out --calibration 10"), 0);
  EXPECT_THAT(output_, HasSubstr("cannot make the folder"));
}

}  // namespace
}  // namespace haq::demo
