#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/ir/graph.h"

namespace haq::ir {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

Constant Weights(Shape shape) {
  const int64_t count = *ElementCount(shape);
  return {std::move(shape), std::vector<float>(static_cast<size_t>(count), 0.5f)};
}

Conv2d Conv(Shape weight) {
  Conv2d conv;
  conv.weight = Weights(std::move(weight));
  return conv;
}

Shape Infer(const Op& op, const std::vector<Shape>& inputs, const Shape& declared = {}) {
  const Result<Shape> shape = InferShape(op, inputs, declared);
  EXPECT_TRUE(shape.ok()) << shape.status().ToString();
  return shape.ok() ? *shape : Shape{};
}

void ExpectRefused(const Op& op, const std::vector<Shape>& inputs, const std::string& reason,
                   const Shape& declared = {}) {
  const Result<Shape> shape = InferShape(op, inputs, declared);
  ASSERT_FALSE(shape.ok()) << ShapeToString(*shape) << " instead of: " << reason;
  EXPECT_EQ(shape.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(shape.status().message(), testing::StartsWith(std::string(OpName(op))));
  EXPECT_THAT(shape.status().message(), testing::HasSubstr(reason));
}

TEST(InferConv2d, CountsStridePaddingAndDilation) {
  Conv2d conv = Conv({8, 3, 3, 5});
  EXPECT_EQ(Infer(conv, {{1, 3, 10, 10}}), (Shape{1, 8, 8, 6}));
  conv.stride = {2, 3};
  conv.padding = {.top = 0, .left = 1, .bottom = 1, .right = 2};
  EXPECT_EQ(Infer(conv, {{1, 3, 10, 10}}), (Shape{1, 8, 5, 3}));
  conv.dilation = {4, 1};
  EXPECT_EQ(Infer(conv, {{1, 3, 10, 10}}), (Shape{1, 8, 2, 3}));
}

TEST(InferConv2d, ChecksGroupsAgainstChannels) {
  Conv2d depthwise = Conv({6, 1, 3, 3});
  depthwise.groups = 6;
  EXPECT_EQ(Infer(depthwise, {{1, 6, 3, 3}}), (Shape{1, 6, 1, 1}));
  ExpectRefused(depthwise, {{1, 5, 3, 3}}, "groups 6 does not divide");
  ExpectRefused(depthwise, {{1, 12, 3, 3}}, "needs 6 input channels");
  depthwise.groups = 0;
  ExpectRefused(depthwise, {{1, 6, 3, 3}}, "groups is 0");
}

TEST(InferConv2d, ChecksEveryAttribute) {
  const std::vector<Shape> image = {{1, 3, 8, 8}};
  Conv2d conv = Conv({2, 3, 3, 3});
  conv.bias = {1, 2, 3};
  ExpectRefused(conv, image, "bias has 3 values for 2");
  conv.bias = {1, kInfinity};
  ExpectRefused(conv, image, "bias[1] is inf");
  conv.bias.clear();
  conv.stride = {1, 0};
  ExpectRefused(conv, image, "stride columns is 0");
  conv.stride = {1, 1};
  conv.dilation = {-1, 1};
  ExpectRefused(conv, image, "dilation rows is -1");
  conv.dilation = {4, 1};
  ExpectRefused(conv, image, "kernel rows spans 9");
  conv.dilation = {1, 1};
  conv.padding.left = -1;
  ExpectRefused(conv, image, "padding.left is -1");
  conv.padding.left = 0;
  conv.weight.data.pop_back();
  ExpectRefused(conv, image, "weight of shape 2x3x3x3 has 53 values");
  conv.weight.data.push_back(std::numeric_limits<float>::quiet_NaN());
  ExpectRefused(conv, image, "weight[53] is nan");
  ExpectRefused(Conv({2, 3, 3, 3}), {{1, 3, 8}}, "needs 4 dimensions");
}

TEST(InferConv2d, SurvivesAttributesThatWouldOverflow) {
  Conv2d conv = Conv({1, 1, 3, 3});
  conv.dilation = {std::numeric_limits<int64_t>::max(), 1};
  ExpectRefused(conv, {{1, 1, 8, 8}}, "dilation rows");
  conv.dilation = {1, 1};
  conv.padding.top = conv.padding.bottom = std::numeric_limits<int64_t>::max();
  ExpectRefused(conv, {{1, 1, 8, 8}}, "padding.top");
}

TEST(InferLinear, WorksOnTheLastDimension) {
  const Linear linear{Weights({5, 4}), {}};
  EXPECT_EQ(Infer(linear, {{1, 4}}), (Shape{1, 5}));
  EXPECT_EQ(Infer(linear, {{1, 7, 4}}), (Shape{1, 7, 5}));
  ExpectRefused(linear, {{1, 5}}, "needs 4 values");
}

TEST(InferElementwise, BroadcastsOnlyPerChannel) {
  EXPECT_EQ(Infer(Add{}, {{1, 2, 3, 4}, {1, 2, 3, 4}}), (Shape{1, 2, 3, 4}));
  EXPECT_EQ(Infer(Mul{}, {{1, 2, 3, 4}, {1, 2, 1, 1}}), (Shape{1, 2, 3, 4}));
  EXPECT_EQ(Infer(Mul{}, {{1, 2, 1, 1}, {1, 2, 3, 4}}), (Shape{1, 2, 3, 4}));
  ExpectRefused(Mul{}, {{1, 2, 3, 4}, {1, 1, 3, 4}}, "neither equal");
  ExpectRefused(Add{}, {{1, 2, 3}, {1, 2, 1}}, "neither equal");
  ExpectRefused(Add{}, {{1, 2}}, "1 inputs instead of 2");
  ExpectRefused(Tanh{}, {{1, 2}, {1, 2}}, "2 inputs instead of 1");
  ExpectRefused(Tanh{}, {{2, 2}}, "no batch of 1");
}

TEST(InferElementwise, ChecksConstants) {
  ExpectRefused(ChannelAffine{{1, 2}, {1}}, {{1, 2, 3, 3}}, "2 scales and 1 shifts");
  ExpectRefused(ChannelAffine{{1, kInfinity}, {1, 1}}, {{1, 2}}, "scale[1]");
  ExpectRefused(Clamp{3, 2}, {{1, 2}}, "clamp to [3, 2]");
  ExpectRefused(Clamp{kInfinity, kInfinity}, {{1, 2}}, "clamp to [inf, inf]");
  ExpectRefused(Clamp{std::numeric_limits<float>::quiet_NaN(), 2}, {{1, 2}}, "clamp to");
  EXPECT_EQ(Infer(Clamp{.low = 0, .channel_high = {1, kInfinity}}, {{1, 2, 3}}), (Shape{1, 2, 3}));
  ExpectRefused(Clamp{.low = 0, .channel_high = {1, 2, 3}}, {{1, 2}}, "3 upper ends");
  ExpectRefused(Clamp{.low = 0, .channel_high = {1}}, {{1}}, "1 upper ends");
  ExpectRefused(Clamp{.low = 0, .channel_high = {1, -2}}, {{1, 2}}, "channel 1: clamp to [0, -2]");
  ExpectRefused(LeakyRelu{kInfinity}, {{1, 2}}, "slope");
}

TEST(InferConcat, AddsAlongItsAxis) {
  EXPECT_EQ(Infer(Concat{1}, {{1, 2, 5}, {1, 3, 5}, {1, 1, 5}}), (Shape{1, 6, 5}));
  EXPECT_EQ(Infer(Concat{2}, {{1, 2, 5}, {1, 2, 1}}), (Shape{1, 2, 6}));
  ExpectRefused(Concat{1}, {{1, 2, 5}, {1, 3, 4}}, "does not fit");
  ExpectRefused(Concat{0}, {{1, 2}, {1, 2}}, "axis 0");
  ExpectRefused(Concat{2}, {{1, 2}, {1, 2}}, "axis 2");
  ExpectRefused(Concat{1}, {}, "no inputs");
}

TEST(InferMaxPool, RefusesWindowsWithoutAnElement) {
  MaxPool2d pool{{3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}};
  EXPECT_EQ(Infer(pool, {{1, 2, 7, 8}}), (Shape{1, 2, 4, 4}));
  pool.padding = {3, 0, 0, 0};
  ExpectRefused(pool, {{1, 2, 7, 8}}, "padding rows leaves a window");
  pool.padding = {0, 0, 0, 4};
  ExpectRefused(pool, {{1, 2, 7, 8}}, "padding columns leaves a window");
  // Every tap of a dilated window can miss a narrow input.
  ExpectRefused(MaxPool2d{{2, 1}, {1, 1}, {3, 1}, {1, 0, 1, 0}}, {{1, 1, 2, 2}}, "padding rows");
}

TEST(InferAvgPool, ChecksEveryWindow) {
  EXPECT_EQ(Infer(AvgPool2d{{0, 2}, {3, 5}, {0}, {4}, 0}, {{1, 2, 5, 4}}), (Shape{1, 2, 2, 1}));
  ExpectRefused(AvgPool2d{{0}, {6}, {0}, {4}, 0}, {{1, 2, 5, 4}}, "window 0 of rows");
  ExpectRefused(AvgPool2d{{0}, {5}, {0, 2}, {4, 2}, 0}, {{1, 2, 5, 4}}, "window 1 of columns");
  ExpectRefused(AvgPool2d{{0, 1}, {5}, {0}, {4}, 0}, {{1, 2, 5, 4}}, "2 beginnings and 1 ends");
  ExpectRefused(AvgPool2d{{}, {}, {0}, {4}, 0}, {{1, 2, 5, 4}}, "0 beginnings");
  ExpectRefused(AvgPool2d{{0}, {5}, {0}, {4}, -1}, {{1, 2, 5, 4}}, "divisor");
}

TEST(InferShapes, ReshapeAndSliceTakeWhatIsDeclared) {
  EXPECT_EQ(Infer(Reshape{}, {{1, 2, 6}}, {1, 12}), (Shape{1, 12}));
  ExpectRefused(Reshape{}, {{1, 2, 6}}, "cannot be reshaped", {1, 13});
  ExpectRefused(Reshape{}, {{1, 2, 6}}, "cannot be reshaped", {2, 6});
  EXPECT_EQ(Infer(Slice{2, 1, 2}, {{1, 2, 6}}, {1, 2, 3}), (Shape{1, 2, 3}));
  ExpectRefused(Slice{2, 2, 2}, {{1, 2, 6}}, "3 elements from 2", {1, 2, 3});
  ExpectRefused(Slice{2, 6, 1}, {{1, 2, 6}}, "1 elements from 6", {1, 2, 1});
  ExpectRefused(Slice{2, 0, 0}, {{1, 2, 6}}, "step", {1, 2, 1});
  ExpectRefused(Slice{0, 0, 1}, {{1, 2, 6}}, "axis 0", {1, 2, 6});
}

TEST(InferShapes, PermutePadAndSoftmax) {
  EXPECT_EQ(Infer(Permute{{0, 2, 1}}, {{1, 2, 6}}), (Shape{1, 6, 2}));
  ExpectRefused(Permute{{1, 0, 2}}, {{1, 2, 6}}, "order [1, 0, 2]");
  ExpectRefused(Permute{{0, 1, 1}}, {{1, 2, 6}}, "order");
  ExpectRefused(Permute{{}}, {{1, 2, 6}}, "order");
  EXPECT_EQ(Infer(Pad{{0, 1, 0}, {0, 0, 3}, 0}, {{1, 2, 6}}), (Shape{1, 3, 9}));
  ExpectRefused(Pad{{1, 0, 0}, {0, 0, 0}, 0}, {{1, 2, 6}}, "padding");
  ExpectRefused(Pad{{0, -1, 0}, {0, 0, 0}, 0}, {{1, 2, 6}}, "before[1] is -1");
  ExpectRefused(Pad{{0, 1, 0}, {0, 0, 0}, kInfinity}, {{1, 2, 6}}, "value");
  ExpectRefused(Softmax{0}, {{1, 2}}, "axis 0");
}

}  // namespace
}  // namespace haq::ir
