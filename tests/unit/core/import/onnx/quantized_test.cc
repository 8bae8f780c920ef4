// Models that were quantized elsewhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/import/onnx/import.h"
#include "tests/support/onnx_model.h"

namespace haq::import {
namespace {

using test::OnnxModel;
using test::Set;
using testing::ElementsAre;
using testing::HasSubstr;

using Levels = ir::GivenQuantization::Levels;

// An 8-bit constant.
void Bytes(OnnxModel& model, const std::string& name, const std::vector<int64_t>& shape,
           const std::vector<int>& values, ::onnx::TensorProto::DataType type) {
  auto& tensor = *model.graph().add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(type);
  for (const int64_t dimension : shape) tensor.add_dims(dimension);
  for (const int value : values) tensor.add_int32_data(value);
}

// x -> QuantizeLinear -> DequantizeLinear, "<x>_dq".
std::string Pair(OnnxModel& model, const std::string& x, float scale, int zero,
                 ::onnx::TensorProto::DataType type = ::onnx::TensorProto::UINT8) {
  model.Floats(x + "_s", {}, {scale});
  Bytes(model, x + "_z", {}, {zero}, type);
  model.Node("QuantizeLinear", {x, x + "_s", x + "_z"}, x + "_q");
  model.Node("DequantizeLinear", {x + "_q", x + "_s", x + "_z"}, x + "_dq");
  return x + "_dq";
}

struct Imported {
  ir::Graph graph;
  ir::GivenQuantization given;
  Levels Of(const std::string& value) const {
    for (const auto& [id, levels] : given.values) {
      if (graph.values[id].name == value) return levels;
    }
    ADD_FAILURE() << "nothing is given for " << value;
    return {};
  }
};

Imported Import(OnnxModel& model, const std::vector<int64_t>& shape) {
  Imported imported;
  auto graph = ImportOnnx(model.Bytes(), shape, &imported.given);
  EXPECT_TRUE(graph.ok()) << graph.status().ToString();
  if (graph.ok()) imported.graph = *std::move(graph);
  return imported;
}

std::vector<std::string> Kinds(const ir::Graph& graph) {
  std::vector<std::string> kinds;
  for (const ir::Node& node : graph.nodes) kinds.emplace_back(ir::OpName(node.op));
  return kinds;
}

// A convolution of 1x1 with two output channels between quantized tensors.
OnnxModel Conv(int zero, const std::vector<int>& weights, int weight_zero = 0) {
  OnnxModel model({-1, 1, 4, 4});
  Bytes(model, "w", {2, 1, 1, 1}, weights, ::onnx::TensorProto::INT8);
  Bytes(model, "w_z", {2}, {weight_zero, 0}, ::onnx::TensorProto::INT8);
  model.Floats("w_s", {2}, {0.5f, 0.25f});
  Set(model.Node("DequantizeLinear", {"w", "w_s", "w_z"}, "w_dq"), "axis", int64_t{0});
  model.Node("Conv", {Pair(model, "x", 0.1f, 100), "w_dq"}, "c");
  Pair(model, "c", 0.2f, zero);
  return model;
}

TEST(OnnxQuantizedTest, ScalesAndZeroPointsAreTaken) {
  OnnxModel model = Conv(7, {3, -5});
  const Imported imported = Import(model, {1, 4, 4});
  ASSERT_THAT(Kinds(imported.graph), ElementsAre("conv2d", "clamp"));
  EXPECT_EQ(imported.Of("x"), (Levels{0.1f, 100}));
  EXPECT_EQ(imported.Of("c_q"), (Levels{0.2f, 7}));
  EXPECT_THAT(imported.given.weights.at(0), ElementsAre(0.5f, 0.25f));
  EXPECT_THAT(std::get<ir::Conv2d>(imported.graph.nodes[0].op).weight.data,
              ElementsAre(1.5f, -1.25f));
  // What 8 bits cannot say is cut off.
  const auto& clamp = std::get<ir::Clamp>(imported.graph.nodes[1].op);
  EXPECT_FLOAT_EQ(clamp.low, -7 * 0.2f);
  EXPECT_FLOAT_EQ(clamp.high, 248 * 0.2f);
}

TEST(OnnxQuantizedTest, SignedLevelsBecomeUnsigned) {
  OnnxModel model({-1, 4});
  const std::string x = Pair(model, "x", 0.5f, -28, ::onnx::TensorProto::INT8);
  model.Node("Sigmoid", {x}, "y");
  EXPECT_EQ(Import(model, {4}).Of("x"), (Levels{0.5f, 100}));
}

TEST(OnnxQuantizedTest, WeightsWithAZeroPointAreJustNumbers) {
  OnnxModel model = Conv(7, {3, -5}, /*weight_zero=*/1);
  const Imported imported = Import(model, {1, 4, 4});
  EXPECT_TRUE(imported.given.weights.empty());
  EXPECT_THAT(std::get<ir::Conv2d>(imported.graph.nodes[0].op).weight.data,
              ElementsAre(1.0f, -1.25f));
}

TEST(OnnxQuantizedTest, WeightsThatAreQuantizedInTheGraph) {
  OnnxModel model({-1, 2});
  model.Floats("w", {2, 1}, {0.26f, -9}).Floats("w_s", {}, {0.05f});
  Bytes(model, "w_z", {}, {0}, ::onnx::TensorProto::INT8);
  model.Node("QuantizeLinear", {"w", "w_s", "w_z"}, "w_q");
  model.Node("DequantizeLinear", {"w_q", "w_s", "w_z"}, "w_dq");
  model.Node("MatMul", {Pair(model, "x", 0.1f, 128), "w_dq"}, "y");
  const Imported imported = Import(model, {2});
  EXPECT_THAT(std::get<ir::Linear>(imported.graph.nodes[0].op).weight.data,
              ElementsAre(0.25f, -6.4f));  // -128 levels
  EXPECT_THAT(imported.given.weights.at(0), ElementsAre(0.05f));
}

TEST(OnnxQuantizedTest, MaxPoolingKeepsItsInputsLevels) {
  for (const float scale : {0.1f, 0.3f}) {
    OnnxModel model({-1, 1, 4, 4});
    auto& pool = model.Node("MaxPool", {Pair(model, "x", 0.1f, 3)}, "p");
    Set(pool, "kernel_shape", std::vector<int64_t>{2, 2});
    Pair(model, "p", scale, 3);
    const Imported imported = Import(model, {1, 4, 4});
    // Others are changed to by a clamp.
    if (scale == 0.1f) {
      EXPECT_THAT(Kinds(imported.graph), ElementsAre("max_pool2d"));
    } else {
      EXPECT_THAT(Kinds(imported.graph), ElementsAre("max_pool2d", "clamp"));
      EXPECT_EQ(imported.Of("p_q"), (Levels{0.3f, 3}));
    }
  }
}

TEST(OnnxQuantizedTest, WhatBreaksTiesIsNoLayer) {
  OnnxModel model({-1, 2, 4, 4});
  model.Floats("tie", {}, {0.1f / 1024}).Node("Add", {"x", "tie"}, "n");
  model.Node("Sigmoid", {Pair(model, "n", 0.1f, 3)}, "y");
  const Imported imported = Import(model, {2, 4, 4});
  EXPECT_THAT(Kinds(imported.graph), ElementsAre("sigmoid"));
  EXPECT_EQ(imported.Of("x"), (Levels{0.1f, 3}));
}

// x -> 256 levels of uint8, "y"; the levels of `function` of x's in steps of y_scale.
template <typename Function>
OnnxModel LookUp(float x_scale, int x_zero, float y_scale, int y_zero, const Function& function) {
  OnnxModel model({-1, 4});
  Pair(model, "x", x_scale, x_zero);
  std::vector<int> table;
  for (int q = 0; q < 256; ++q) {
    const double y = function(double(x_scale) * (q - x_zero)) / y_scale;
    table.push_back(int(std::clamp(std::nearbyint(y) + y_zero, 0.0, 255.0)));
  }
  Bytes(model, "table", {256}, table, ::onnx::TensorProto::UINT8);
  Set(model.Node("Cast", {"x_q"}, "index"), "to", int64_t{6});
  model.Node("Gather", {"table", "index"}, "levels");
  model.Floats("y_s", {}, {y_scale});
  Bytes(model, "y_z", {}, {y_zero}, ::onnx::TensorProto::UINT8);
  model.Node("DequantizeLinear", {"levels", "y_s", "y_z"}, "y");
  return model;
}

TEST(OnnxQuantizedTest, TablesAreTheFunctionsThatTheyWereMadeFrom) {
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  const auto swish = [](double x) { return x * std::clamp(x + 3, 0.0, 6.0) / 6; };
  OnnxModel a = LookUp(0.05f, 128, 1 / 255.0f, 0, sigmoid),
            b = LookUp(0.05f, 128, 0.03f, 13, swish),
            c = LookUp(0.05f, 128, 0.03f, 60, [](double x) { return x < 0 ? x * 0.2 : x; }),
            d = LookUp(0.05f, 128, 0.05f, 0, [](double x) { return std::clamp(x, 0.0, 2.0); });
  EXPECT_THAT(Kinds(Import(a, {4}).graph), ElementsAre("sigmoid"));
  EXPECT_EQ(Import(a, {4}).Of("y"), (Levels{1 / 255.0f, 0}));
  EXPECT_THAT(Kinds(Import(b, {4}).graph), ElementsAre("hard_swish"));
  const ir::Graph leaky = Import(c, {4}).graph;
  ASSERT_THAT(Kinds(leaky), ElementsAre("leaky_relu"));
  EXPECT_NEAR(std::get<ir::LeakyRelu>(leaky.nodes[0].op).slope, 0.2, 0.005);
  const ir::Graph clamp = Import(d, {4}).graph;
  ASSERT_THAT(Kinds(clamp), ElementsAre("clamp"));
  EXPECT_EQ(std::get<ir::Clamp>(clamp.nodes[0].op).high, 2);
}

TEST(OnnxQuantizedTest, TablesThatAreNoFunctionAreRefused) {
  OnnxModel sine = LookUp(0.05f, 128, 1 / 127.0f, 128, [](double x) { return std::sin(x); });
  const Status status = ImportOnnx(sine.Bytes(), {4}).status();
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_THAT(status.message(), HasSubstr("a table that is no function known here"));
}

TEST(OnnxQuantizedTest, OperatorsOnLevelsAreRefused) {
  for (const std::string kind : {"Add", "Sub", "Mul", "Sum", "Concat", "Max"}) {
    OnnxModel model({-1, 4});
    Pair(model, "x", 0.1f, 3);
    model.Node(kind, {"x_q", "x_q"}, "y");
    if (kind == "Concat") Set(*model.graph().mutable_node(2), "axis", int64_t{1});
    const Status status = ImportOnnx(model.Bytes(), {4}).status();
    EXPECT_EQ(status.code(), StatusCode::kUnsupported) << kind;
    EXPECT_THAT(status.message(), HasSubstr("('x_q') are levels")) << kind;
  }
  OnnxModel shape({-1, 4});
  Pair(shape, "x", 0.1f, 3);
  shape.Node("Shape", {"x_q"}, "s");
  shape.Node("Reshape", {"x", "s"}, "y");
  EXPECT_EQ(ImportOnnx(shape.Bytes(), {4}).status().code(), StatusCode::kOk);
}

TEST(OnnxQuantizedTest, OtherModelsGiveNothing) {
  OnnxModel model({-1, 4});
  model.Node("Relu", {"x"}, "y");
  EXPECT_TRUE(Import(model, {4}).given.empty());
}

TEST(OnnxQuantizedTest, Refusals) {
  OnnxModel levels({-1, 4});
  Pair(levels, "x", 0.1f, 3);
  levels.Node("Relu", {"x_q"}, "y");
  Status status = ImportOnnx(levels.Bytes(), {4}).status();
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_THAT(status.message(), HasSubstr("input 0 ('x_q') are levels"));

  OnnxModel other({-1, 4});
  Pair(other, "x", 0.1f, 3);
  other.Floats("s", {}, {0.2f}).Node("DequantizeLinear", {"x_q", "s", "x_z"}, "y");
  status = ImportOnnx(other.Bytes(), {4}).status();
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_THAT(status.message(), HasSubstr("another scale or zero point"));

  OnnxModel negative({-1, 4});
  Pair(negative, "x", -0.1f, 3);
  status = ImportOnnx(negative.Bytes(), {4}).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("a scale is -0.1"));

  for (const float scale : {1e-40f, 1e30f}) {
    OnnxModel extreme({-1, 4});
    Pair(extreme, "x", scale, 3);
    EXPECT_THAT(ImportOnnx(extreme.Bytes(), {4}).status().message(), HasSubstr("allowed are"));
  }

  OnnxModel many({-1, 4});
  many.Floats("s", {}, {1});
  Bytes(many, "z", {2}, {0, 0}, ::onnx::TensorProto::UINT8);
  many.Node("QuantizeLinear", {"x", "s", "z"}, "q");
  many.Node("DequantizeLinear", {"q", "s", "z"}, "y");
  EXPECT_THAT(ImportOnnx(many.Bytes(), {4}).status().message(),
              HasSubstr("has 2 zero points of uint8"));

  OnnxModel ends({-1, 4});
  Pair(ends, "x", 0.1f, 3);
  ends.Output("x_q");
  EXPECT_THAT(ImportOnnx(ends.Bytes(), {4}).status().message(),
              HasSubstr("the model's output 'x_q' are levels"));

  OnnxModel channels({-1, 4});
  channels.Floats("s", {4}, {1, 1, 1, 1});
  channels.Node("QuantizeLinear", {"x", "s"}, "q");
  channels.Node("DequantizeLinear", {"q", "s"}, "y");
  EXPECT_THAT(ImportOnnx(channels.Bytes(), {4}).status().message(),
              HasSubstr("quantizes an activation with 4 scales"));
}

}  // namespace
}  // namespace haq::import
