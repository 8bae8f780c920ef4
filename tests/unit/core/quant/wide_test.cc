#include "core/quant/wide.h"

#include <gtest/gtest.h>

namespace haq::quant {
namespace {

TEST(ParseWide, ANumberIsACountAndAnythingElseIsNames) {
  EXPECT_EQ(*ParseWide("0", "--wide"), (WideChoice{0, {}}));
  EXPECT_EQ(*ParseWide("6", "--wide"), (WideChoice{6, {}}));
  EXPECT_EQ(*ParseWide("conv1", "--wide"), (WideChoice{0, {"conv1"}}));
  EXPECT_EQ(*ParseWide("6a,7,input.3", "--wide"), (WideChoice{0, {"6a", "7", "input.3"}}));
}

TEST(ParseWide, WhatIsNeitherIsRefused) {
  for (const char* text : {"", ",", "a,", ",a", "a,,b", "-1", "1001", "99999999999999999999"}) {
    const Status status = ParseWide(text, "--wide").status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << text;
    ASSERT_EQ(status.fields().size(), 1u) << text;
    EXPECT_EQ(status.fields()[0].field, "--wide");
  }
}

TEST(CheckWide, ItsLimitsNameTheField) {
  const auto expect = [](const WideChoice& wide, const std::string& message) {
    EXPECT_EQ(CheckWide(wide, "spec.").message(), message);
    EXPECT_EQ(CheckWide(wide, "spec.").code(), StatusCode::kInvalidArgument);
  };
  EXPECT_TRUE(CheckWide({}).ok());
  EXPECT_TRUE(CheckWide({kMaxWideTensors, {}}).ok());
  EXPECT_TRUE(CheckWide({0, std::vector<std::string>(1000, "t")}).ok());
  EXPECT_TRUE(CheckWide({0, {std::string(kMaxWideNameBytes, 't')}}).ok());
  expect({-1, {}}, "spec.wide_count: must be 0 (none) to 1000, found -1");
  expect({1001, {}}, "spec.wide_count: must be 0 (none) to 1000, found 1001");
  expect({1, {"a", "b"}},
         "spec.wide_tensors: must be empty when wide_count is not 0, found 2 names");
  expect({0, std::vector<std::string>(1001, "t")},
         "spec.wide_tensors: must be at most 1000 names, found 1001");
  expect({0, {"a", ""}}, "spec.wide_tensors[1]: must not be empty");
  expect({0, {std::string(kMaxWideNameBytes, 't'), "t"}},
         "spec.wide_tensors: must have at most 16384 bytes together, found 16385");
}

}  // namespace
}  // namespace haq::quant
