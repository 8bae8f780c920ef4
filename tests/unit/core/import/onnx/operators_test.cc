// What operators become, and that the opsets' ways of writing them come out alike.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/import/onnx/import.h"
#include "tests/support/onnx_model.h"

namespace haq::import {
namespace {

using test::OnnxModel;
using test::Set;
using testing::ElementsAre;

ir::Graph Import(OnnxModel& model, const std::vector<int64_t>& shape) {
  auto graph = ImportOnnx(model.Bytes(), shape);
  EXPECT_TRUE(graph.ok()) << graph.status().ToString();
  return graph.ok() ? *graph : ir::Graph();
}

std::vector<std::string> Kinds(const ir::Graph& graph) {
  std::vector<std::string> kinds;
  for (const ir::Node& node : graph.nodes) kinds.emplace_back(ir::OpName(node.op));
  return kinds;
}

const ir::Shape& OutputShape(const ir::Graph& graph) { return graph.values[graph.output].shape; }

ir::Padding2d ConvPadding(const std::string& auto_pad, int64_t side, int64_t kernel,
                          int64_t stride) {
  OnnxModel model({-1, 1, side, side});
  model.Weights("w", {1, 1, kernel, kernel});
  auto& conv = model.Node("Conv", {"x", "w"}, "y");
  Set(conv, "auto_pad", auto_pad);
  Set(conv, "strides", std::vector<int64_t>{stride, stride});
  const ir::Graph graph = Import(model, {1, side, side});
  return std::get<ir::Conv2d>(graph.nodes[0].op).padding;
}

TEST(OnnxOperatorsTest, AutoPad) {
  EXPECT_EQ(ConvPadding("VALID", 7, 3, 2), (ir::Padding2d{0, 0, 0, 0}));
  EXPECT_EQ(ConvPadding("NOTSET", 7, 3, 2), (ir::Padding2d{0, 0, 0, 0}));
  EXPECT_EQ(ConvPadding("SAME_UPPER", 8, 3, 2), (ir::Padding2d{0, 0, 1, 1}));
  EXPECT_EQ(ConvPadding("SAME_LOWER", 8, 3, 2), (ir::Padding2d{1, 1, 0, 0}));
  EXPECT_EQ(ConvPadding("SAME_UPPER", 7, 3, 2), (ir::Padding2d{1, 1, 1, 1}));
  EXPECT_EQ(ConvPadding("SAME_UPPER", 8, 1, 2), (ir::Padding2d{0, 0, 0, 0}));
}

TEST(OnnxOperatorsTest, ClipHasItsEndsAsAttributesOrInputs) {
  OnnxModel old({-1, 3}, 9), now({-1, 3}, 13);
  auto& clip = old.Node("Clip", {"x"}, "y");
  Set(clip, "min", 0.0f);
  Set(clip, "max", 6.0f);
  now.Floats("low", {}, {0}).Floats("high", {}, {6}).Node("Clip", {"x", "low", "high"}, "y");
  for (OnnxModel* model : {&old, &now}) {
    const ir::Graph graph = Import(*model, {3});
    ASSERT_THAT(Kinds(graph), ElementsAre("clamp"));
    EXPECT_EQ(std::get<ir::Clamp>(graph.nodes[0].op).low, 0);
    EXPECT_EQ(std::get<ir::Clamp>(graph.nodes[0].op).high, 6);
  }
}

TEST(OnnxOperatorsTest, ClipWithoutAnEndIsOpen) {
  OnnxModel model({-1, 3});
  model.Floats("low", {}, {0}).Node("Clip", {"x", "low", ""}, "y");
  const ir::Graph graph = Import(model, {3});
  EXPECT_EQ(std::get<ir::Clamp>(graph.nodes[0].op).high, std::numeric_limits<float>::infinity());
}

TEST(OnnxOperatorsTest, PadAndSliceHaveTheirNumbersAsAttributesOrInputs) {
  OnnxModel old({-1, 1, 4, 4}, 9), now({-1, 1, 4, 4}, 13);
  const std::vector<int64_t> pads{0, 0, 1, 0, 0, 0, 0, 2};
  Set(old.Node("Pad", {"x"}, "p"), "pads", pads);
  auto& slice = old.Node("Slice", {"p"}, "y");
  Set(slice, "starts", std::vector<int64_t>{1});
  Set(slice, "ends", std::vector<int64_t>{-1});
  Set(slice, "axes", std::vector<int64_t>{2});
  now.Integers("pads", {8}, pads).Node("Pad", {"x", "pads"}, "p");
  now.Integers("s", {1}, {1}).Integers("e", {1}, {-1}).Integers("a", {1}, {2});
  now.Node("Slice", {"p", "s", "e", "a"}, "y");
  for (OnnxModel* model : {&old, &now}) {
    const ir::Graph graph = Import(*model, {1, 4, 4});
    ASSERT_THAT(Kinds(graph), ElementsAre("pad", "slice"));
    EXPECT_THAT(std::get<ir::Pad>(graph.nodes[0].op).before, ElementsAre(0, 0, 1, 0));
    EXPECT_EQ(std::get<ir::Slice>(graph.nodes[1].op).start, 1);
    EXPECT_EQ(OutputShape(graph), (ir::Shape{1, 1, 3, 6}));
  }
}

TEST(OnnxOperatorsTest, SqueezeAndUnsqueezeHaveTheirAxesAsAttributesOrInputs) {
  OnnxModel old({-1, 1, 4}, 11), now({-1, 1, 4}, 13);
  Set(old.Node("Unsqueeze", {"x"}, "u"), "axes", std::vector<int64_t>{-1, 2});
  Set(old.Node("Squeeze", {"u"}, "y"), "axes", std::vector<int64_t>{1});
  now.Integers("u_axes", {2}, {-1, 2}).Node("Unsqueeze", {"x", "u_axes"}, "u");
  now.Integers("s_axes", {1}, {1}).Node("Squeeze", {"u", "s_axes"}, "y");
  for (OnnxModel* model : {&old, &now}) {
    EXPECT_EQ(OutputShape(Import(*model, {1, 4})), (ir::Shape{1, 1, 4, 1}));
  }
}

TEST(OnnxOperatorsTest, SqueezeOfEverythingKeepsTheBatch) {
  OnnxModel model({-1, 4, 1, 1});
  model.Node("Squeeze", {"x"}, "y");
  EXPECT_EQ(OutputShape(Import(model, {4, 1, 1})), (ir::Shape{1, 4}));
}

TEST(OnnxOperatorsTest, SoftmaxWorksOnTheRestBeforeOpset13AndOnOneAxisSince) {
  OnnxModel old({-1, 3, 4}, 11), now({-1, 3, 4}, 13);
  Set(old.Node("Softmax", {"x"}, "y"), "axis", int64_t{1});
  Set(now.Node("Softmax", {"x"}, "y"), "axis", int64_t{1});
  EXPECT_THAT(Kinds(Import(old, {3, 4})), ElementsAre("reshape", "softmax", "reshape"));
  const ir::Graph graph = Import(now, {3, 4});
  ASSERT_THAT(Kinds(graph), ElementsAre("softmax"));
  EXPECT_EQ(std::get<ir::Softmax>(graph.nodes[0].op).axis, 1);
}

TEST(OnnxOperatorsTest, UpsampleAndResizeAreAlike) {
  const std::vector<float> scales{1, 1, 2, 3};
  OnnxModel upsample({-1, 2, 4, 4}, 9), old({-1, 2, 4, 4}, 10), now({-1, 2, 4, 4}, 13),
      sizes({-1, 2, 4, 4}, 13);
  upsample.Floats("s", {4}, scales).Node("Upsample", {"x", "s"}, "y");
  old.Floats("s", {4}, scales).Node("Resize", {"x", "s"}, "y");
  now.Floats("s", {4}, scales).Node("Resize", {"x", "", "s"}, "y");
  sizes.Integers("s", {4}, {1, 2, 8, 12}).Node("Resize", {"x", "", "", "s"}, "y");
  for (OnnxModel* model : {&upsample, &old, &now, &sizes}) {
    const ir::Graph graph = Import(*model, {2, 4, 4});
    EXPECT_EQ(OutputShape(graph), (ir::Shape{1, 2, 8, 12}));
    EXPECT_THAT(Kinds(graph), testing::Contains("concat").Times(2));
  }
}

// Opsets 7 and 8 have an attribute instead.
TEST(OnnxOperatorsTest, UpsampleWithScalesAsAnAttribute) {
  OnnxModel model({-1, 2, 4, 4}, 7);
  auto& attribute = *model.Node("Upsample", {"x"}, "y").add_attribute();
  attribute.set_name("scales");
  attribute.set_type(::onnx::AttributeProto::FLOATS);
  for (const float scale : {1, 1, 2, 3}) attribute.add_floats(scale);
  EXPECT_EQ(OutputShape(Import(model, {2, 4, 4})), (ir::Shape{1, 2, 8, 12}));
}

TEST(OnnxOperatorsTest, OutputsThatNobodyReadsAreNotMissed) {
  OnnxModel model({-1, 1, 4, 4}, 11), asked({-1, 1, 4, 4}, 11);
  for (OnnxModel* dropout : {&model, &asked}) {
    auto& pool = dropout->Node("MaxPool", {"x"}, "p");
    Set(pool, "kernel_shape", std::vector<int64_t>{2, 2});
    pool.add_output("indices");
    dropout->Node("Dropout", {"p"}, "y").add_output("mask");
  }
  EXPECT_THAT(Kinds(Import(model, {1, 4, 4})), ElementsAre("max_pool2d"));
  asked.Node("Cast", {"mask"}, "z");
  Set(*asked.graph().mutable_node(2), "to", int64_t{1});
  const Status status = ImportOnnx(asked.Bytes(), {1, 4, 4}).status();
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_THAT(status.message(), testing::HasSubstr("its output 1 (the mask) is asked for"));
}

TEST(OnnxOperatorsTest, BatchNormInTrainingModeIsRefused) {
  OnnxModel model({-1, 1, 4, 4}, 9);
  model.Floats("one", {1}, {1});
  auto& node = model.Node("BatchNormalization", {"x", "one", "one", "one", "one"}, "y");
  for (const char* output : {"mean", "variance", "saved_mean", "saved_variance"}) {
    node.add_output(output);
  }
  EXPECT_THAT(ImportOnnx(model.Bytes(), {1, 4, 4}).status().message(),
              testing::HasSubstr("training mode"));
}

TEST(OnnxOperatorsTest, ConstantsThatAreListsOfFloats) {
  OnnxModel model({-1, 2});
  auto& attribute = *model.Node("Constant", {}, "c").add_attribute();
  attribute.set_name("value_floats");
  attribute.set_type(::onnx::AttributeProto::FLOATS);
  for (const float value : {3, 4}) attribute.add_floats(value);
  model.Node("Add", {"x", "c"}, "y");
  const ir::Graph graph = Import(model, {2});
  EXPECT_THAT(std::get<ir::ChannelAffine>(graph.nodes[0].op).shift, ElementsAre(3, 4));
}

TEST(OnnxOperatorsTest, BatchNormIsFoldedAndDropoutIsGone) {
  OnnxModel model({-1, 1, 4, 4});
  model.Weights("w", {2, 1, 3, 3}).Floats("one", {2}, {2, 2}).Floats("zero", {2}, {0, 0});
  model.Node("Conv", {"x", "w"}, "c");
  model.Node("BatchNormalization", {"c", "one", "zero", "zero", "one"}, "b");
  model.Node("Relu", {"b"}, "r");
  model.Node("Dropout", {"r"}, "y");
  const ir::Graph graph = Import(model, {1, 4, 4});
  ASSERT_THAT(Kinds(graph), ElementsAre("conv2d", "clamp"));
  EXPECT_NEAR(std::get<ir::Conv2d>(graph.nodes[0].op).weight.data[0], 0.1 * 2 / std::sqrt(2.0),
              1e-5);
}

TEST(OnnxOperatorsTest, TensorsAndNodesHaveTheModelsNames) {
  OnnxModel model({-1, 1, 4, 4});
  model.Weights("w", {2, 1, 3, 3});
  model.Node("Conv", {"x", "w"}, "features");
  model.Node("Sigmoid", {"features"}, "logits");
  const ir::Graph graph = Import(model, {1, 4, 4});
  EXPECT_EQ(graph.values[graph.input].name, "x");
  EXPECT_EQ(graph.nodes[0].name, "node_features");
  EXPECT_EQ(graph.values[graph.nodes[0].output].name, "features");
  EXPECT_EQ(graph.values[graph.output].name, "logits");
}

TEST(OnnxOperatorsTest, ChainsOfShapesFold) {
  OnnxModel model({-1, 2, 3, 4});
  model.Node("Shape", {"x"}, "shape");
  model.Integers("zero", {}, {0}).Node("Gather", {"shape", "zero"}, "n");
  model.Integers("axis", {1}, {0}).Node("Unsqueeze", {"n", "axis"}, "n1");
  model.Integers("rest", {1}, {-1}).Node("Concat", {"n1", "rest"}, "wanted");
  Set(*model.graph().mutable_node(3), "axis", int64_t{0});
  model.Node("Reshape", {"x", "wanted"}, "y");
  const ir::Graph graph = Import(model, {2, 3, 4});
  EXPECT_THAT(Kinds(graph), ElementsAre("reshape"));
  EXPECT_EQ(OutputShape(graph), (ir::Shape{1, 24}));
}

TEST(OnnxOperatorsTest, GemmTakesItsFactorsIntoTheWeights) {
  OnnxModel model({-1, 2});
  model.Floats("w", {2, 1}, {1, 2}).Floats("b", {1}, {3});
  auto& gemm = model.Node("Gemm", {"x", "w", "b"}, "y");
  Set(gemm, "alpha", 0.5f);
  Set(gemm, "beta", 2.0f);
  const ir::Graph graph = Import(model, {2});
  const auto& linear = std::get<ir::Linear>(graph.nodes[0].op);
  EXPECT_THAT(linear.weight.data, ElementsAre(0.5f, 1));
  EXPECT_THAT(linear.bias, ElementsAre(6));
}

TEST(OnnxOperatorsTest, HardSigmoidOfOtherSlopesIsALineAndAClamp) {
  OnnxModel model({-1, 2});
  model.Node("HardSigmoid", {"x"}, "y");
  EXPECT_THAT(Kinds(Import(model, {2})), ElementsAre("channel_affine", "clamp"));
  OnnxModel torch({-1, 2});
  Set(torch.Node("HardSigmoid", {"x"}, "y"), "alpha", 1.0f / 6);
  EXPECT_THAT(Kinds(Import(torch, {2})), ElementsAre("hard_sigmoid"));
}

TEST(OnnxOperatorsTest, WhatTheOutputDoesNotNeedIsNotLookedAt) {
  OnnxModel model({-1, 2});
  model.Node("NoSuchOperator", {"x"}, "unused");
  model.Node("Relu", {"x"}, "y");
  EXPECT_THAT(Kinds(Import(model, {2})), ElementsAre("clamp"));
}

TEST(OnnxOperatorsTest, ABatchThatTheModelFixesBecomesOne) {
  OnnxModel model({8, 2, 3});
  model.Node("Relu", {"x"}, "y");
  EXPECT_EQ(OutputShape(Import(model, {2, 3})), (ir::Shape{1, 2, 3}));
}

}  // namespace
}  // namespace haq::import
