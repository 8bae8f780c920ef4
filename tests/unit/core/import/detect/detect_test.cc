#include "core/import/detect/detect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/import/detect/wire.h"
#include "tests/support/onnx_model.h"

namespace haq::import {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<uint8_t> Bytes(std::string_view text) { return {text.begin(), text.end()}; }

std::vector<uint8_t> Relu(const std::vector<int64_t>& shape) {
  test::OnnxModel model(shape);
  model.Node("Relu", {"x"}, "y");
  return model.Bytes();
}

TEST(DetectTest, TellsTheFormatFromTheBytes) {
  EXPECT_EQ(*DetectFormat(Bytes("PK\x03\x04rest")), ModelFormat::kTorchScript);
  EXPECT_EQ(*DetectFormat(Relu({-1, 3, 4, 4})), ModelFormat::kOnnx);
  EXPECT_EQ(FormatName(ModelFormat::kOnnx), "onnx");
  EXPECT_EQ(FormatName(ModelFormat::kTorchScript), "torchscript");
}

TEST(DetectTest, RefusesOtherFiles) {
  for (const std::string_view text : {"", "P", "GIF89a", "{}", "\x80\x02}q", "\x08"}) {
    const Status status = DetectFormat(Bytes(text)).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(status.message(), HasSubstr("neither a TorchScript model")) << text;
  }
}

TEST(DetectTest, EveryTruncationIsRefused) {
  const std::vector<uint8_t> whole = Relu({1, 3, 4, 4});
  for (size_t size = 0; size < whole.size(); ++size) {
    const auto part = std::span(whole).first(size);
    const auto format = DetectFormat(part);
    // Fields end where they end: without the opset, which is last, it is still a model.
    if (format.ok()) {
      EXPECT_GT(size, whole.size() - 8) << size;
      continue;
    }
    EXPECT_EQ(format.status().code(), StatusCode::kInvalidArgument);
    if (size >= 2) {
      EXPECT_THAT(format.status().message(), HasSubstr("truncated"));
    }
  }
}

TEST(DetectTest, ReadsTheDeclaredShape) {
  EXPECT_THAT(*DeclaredInputShape(Relu({-1, 3, 32, 16})), ElementsAre(3, 32, 16));
  EXPECT_THAT(*DeclaredInputShape(Relu({8, 3, 5, 4})), ElementsAre(3, 5, 4));
}

TEST(DetectTest, InitializersAmongTheInputsAreNoInputs) {
  test::OnnxModel model({1, 2, 3, 4});
  model.Weights("w", {2});
  model.graph().add_input()->set_name("w");
  model.Node("Relu", {"x"}, "y");
  EXPECT_THAT(*DeclaredInputShape(model.Bytes()), ElementsAre(2, 3, 4));
}

TEST(DetectTest, NamesADimensionWithoutNumber) {
  const Status status = DeclaredInputShape(Relu({1, 3, -1, 4})).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  ASSERT_EQ(status.fields().size(), 1u);
  EXPECT_EQ(status.fields()[0].field, "input_shape");
  EXPECT_THAT(status.message(), HasSubstr("dimension 2 of the model's input 'x' has no number"));
}

TEST(DetectTest, NeedsOneInput) {
  test::OnnxModel model({1, 2});
  model.graph().add_input()->set_name("second");
  model.Node("Relu", {"x"}, "y");
  EXPECT_THAT(DeclaredInputShape(model.Bytes()).status().message(), HasSubstr("has 2 inputs"));
}

TEST(WireTest, ReadsEveryKindOfField) {
  const std::vector<uint8_t> bytes{0x08, 0xac, 0x02,                      // 1: varint 300
                                   0x11, 1,    0,    0,   0, 0, 0, 0, 0,  // 2: fixed64 1
                                   0x1a, 2,    'h',  'i',                 // 3: "hi"
                                   0x25, 2,    0,    0,   0};             // 4: fixed32 2
  WireReader reader(bytes);
  WireField field;
  ASSERT_TRUE(reader.Next(field));
  EXPECT_EQ(field.value, 300u);
  ASSERT_TRUE(reader.Next(field));
  EXPECT_EQ(field.number, 2u);
  EXPECT_EQ(field.value, 1u);
  ASSERT_TRUE(reader.Next(field));
  EXPECT_EQ(field.text(), "hi");
  ASSERT_TRUE(reader.Next(field));
  EXPECT_EQ(field.type, WireField::Type::kFixed32);
  EXPECT_FALSE(reader.Next(field));
  EXPECT_FALSE(reader.damaged());
}

TEST(WireTest, SeesDamage) {
  for (const std::vector<uint8_t>& bytes :
       {std::vector<uint8_t>{0x1a, 5, 'x'},
        {0x00, 0},
        {0x0b},
        {0x08},
        {0x11, 1},
        {0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}}) {
    WireReader reader(bytes);
    WireField field;
    EXPECT_FALSE(reader.Next(field));
    EXPECT_TRUE(reader.damaged());
  }
}

}  // namespace
}  // namespace haq::import
