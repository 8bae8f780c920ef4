#include "core/artifact/clipping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/artifact/file.h"
#include "tests/support/model_builder.h"

namespace haq::artifact {
namespace {

using ::testing::HasSubstr;

// Three tensors, the second of 16 bits.
Model MakeModel() {
  test::ModelBuilder b({4, 4, 3}, 5);
  const int32_t wide = b.Conv(b.input(), {.out_channels = 4, .wide = true});
  Model model = b.Finish(b.Conv(wide, {.out_channels = 2}));
  model.metadata_json = R"({"method": "minmax"})";
  return model;
}

TEST(Clipping, IsReadAsItWasWritten) {
  Model model = MakeModel();
  const Clipping clipping{256, {{0, true, true, 17}, {2, false, true, 0}}};
  WriteClipping(clipping, model);
  EXPECT_THAT(model.metadata_json, HasSubstr(R"("method":"minmax")"));
  const auto bytes = Serialize(model);
  ASSERT_TRUE(bytes.ok()) << bytes.status().ToString();
  const auto parsed = Parse(*bytes);
  ASSERT_TRUE(parsed.ok());
  const auto read = ReadClipping(*parsed);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ(*read, clipping);
}

TEST(Clipping, ModelsThatSayNothingHaveNone) {
  Model model = MakeModel();
  for (const char* metadata : {"", "{}", R"({"method": "minmax"})", "no JSON"}) {
    model.metadata_json = metadata;
    const auto read = ReadClipping(model);
    ASSERT_TRUE(read.ok()) << read.status().ToString();
    EXPECT_EQ(*read, Clipping{});
  }
}

TEST(Clipping, WhatDoesNotFitTheModelIsDataLoss) {
  Model model = MakeModel();
  const std::string input = model.tensors[0].name, wide = model.tensors[1].name;
  const std::string one = R"({"name": ")" + input + R"(", "ends": "high", "clipped": 1})";
  const std::pair<std::string, const char*> cases[] = {
      {R"([])", "no object"},
      {R"({"tensors": []})", "images is no whole number"},
      {R"({"images": -1, "tensors": []})", "images is -1"},
      {R"({"images": 1e3, "tensors": []})", "images is no whole number"},
      {R"({"images": 18446744073709551615, "tensors": []})", "images is 9223372036854775807"},
      {R"({"images": 1})", "tensors is no list"},
      {R"({"images": 1, "tensors": [7]})", "is no 8-bit tensor"},
      {R"({"images": 1, "tensors": [{"name": "nobody", "ends": "low", "clipped": 0}]})",
       "\"nobody\" is no 8-bit tensor"},
      {R"({"images": 1, "tensors": [{"name": ")" + wide + R"(", "ends": "low", "clipped": 0}]})",
       "is no 8-bit tensor"},
      {R"({"images": 1, "tensors": [{"name": ")" + input + R"(", "ends": "top", "clipped": 0}]})",
       "are \"top\""},
      // 48 elements an image.
      {R"({"images": 1, "tensors": [{"name": ")" + input + R"(", "ends": "low", "clipped": 49}]})",
       "clipped is 49, a number in [0, 48]"},
      {R"({"images": 1, "tensors": [)" + one + "," + one + "]}", "comes twice"},
  };
  for (const auto& [clipping, message] : cases) {
    model.metadata_json = R"({"clipping": )" + clipping + "}";
    const auto read = ReadClipping(model);
    EXPECT_EQ(read.status().code(), StatusCode::kDataLoss) << clipping;
    EXPECT_THAT(read.status().message(), HasSubstr(message)) << clipping;
  }
}

}  // namespace
}  // namespace haq::artifact
