#include "core/base/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace haq {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

class Capture {
 public:
  Capture() : file_(open_memstream(&data_, &size_)) {}
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  ~Capture() {
    std::fclose(file_);
    std::free(data_);
  }
  std::FILE* file() { return file_; }
  std::string text() {
    std::fflush(file_);
    return std::string(data_, size_);
  }

 private:
  char* data_ = nullptr;
  size_t size_ = 0;
  std::FILE* file_;
};

TEST(ProgressBarTest, PlainLinesHaveNoControlCharacters) {
  Capture capture;
  {
    ProgressBar bar(capture.file(), /*terminal=*/false);
    for (int i = 0; i <= 1000; ++i) bar.Update("calibrate", i, 1000, 500);
    bar.Update("calibrate", 1000, 1000, 500);
    bar.Update("evaluate", 5, 10);
  }
  const std::string text = capture.text();
  EXPECT_THAT(text, Not(HasSubstr("\r")));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_EQ(text,
            "calibrate   0 %  0/1000 images  500/s\n"
            "calibrate 100 %  1000/1000 images  500/s\n"
            "evaluate   50 %  5/10 images\n");
}

TEST(ProgressBarTest, PlainLinesShowTheNoteAtTheEnd) {
  Capture capture;
  {
    ProgressBar bar(capture.file(), false);
    bar.Update("evaluate", 0, 10);
    bar.Update("evaluate", 10, 10);
    bar.Note("INT8 90.0 %");
  }
  EXPECT_EQ(capture.text(),
            "evaluate    0 %  0/10 images\nevaluate  100 %  10/10 images  INT8 90.0 %\n");
}

TEST(ProgressBarTest, TerminalRedrawsOneLineNoWiderThanTheTerminal) {
  Capture capture;
  ProgressBar bar(capture.file(), /*terminal=*/true, /*columns=*/40);
  bar.Update("calibrate", 5, 10, 100);
  EXPECT_EQ(capture.text(), "\rcalibrate [####....]  50 %  5/10 images\x1b[K");
  bar.Line("warning: something");
  EXPECT_THAT(capture.text(), HasSubstr("\r\x1b[Kwarning: something\n\rcalibrate"));
  bar.Finish();
  EXPECT_THAT(capture.text(), EndsWith("\n"));
}

TEST(ProgressBarTest, UnknownTotalShowsTheCount) {
  Capture capture;
  ProgressBar bar(capture.file(), false);
  bar.Update("pack", 7, 0);
  EXPECT_EQ(capture.text(), "pack       7 images\n");
}

TEST(ProgressBarTest, BytesAreReadableAndStepsAreNotCounted) {
  Capture capture;
  {
    ProgressBar bar(capture.file(), false);
    bar.Update("upload", 1536, 4096, 0, Unit::kBytes);
    bar.Update("lower", 0, 1, 0, Unit::kSteps);
  }
  EXPECT_EQ(capture.text(), "upload     38 %  1.5 KiB/4.0 KiB\nlower       0 %\n");
  EXPECT_EQ(UnitOfPhase("download"), Unit::kBytes);
  EXPECT_EQ(UnitOfPhase("import"), Unit::kSteps);
  EXPECT_EQ(UnitOfPhase("adaround"), Unit::kSteps) << "of layers";
  EXPECT_EQ(UnitOfPhase("evaluate"), Unit::kImages);
}

TEST(ProgressBarTest, WithoutStreamNothingHappens) {
  ProgressBar bar(nullptr);
  bar.Update("calibrate", 1, 2);
  bar.Note("note");
  bar.Line("line");
  bar.Finish();
}

TEST(FormatBytesTest, ChoosesTheUnit) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1536), "1.5 KiB");
  EXPECT_EQ(FormatBytes(64 << 20), "64.0 MiB");
}

}  // namespace
}  // namespace haq
