// Files that somebody made to hurt: an error that names the node, in bounded time and memory. Where
// a bound were missing, these tests would not end, or end for want of memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/import/onnx/import.h"
#include "tests/support/onnx_model.h"

namespace haq::import {
namespace {

using test::OnnxModel;
using test::Set;
using testing::HasSubstr;

void ExpectRefusal(OnnxModel& model, const std::vector<int64_t>& shape, StatusCode code,
                   const std::string& text) {
  const Status status = ImportOnnx(model.Bytes(), shape).status();
  EXPECT_EQ(status.code(), code) << status.ToString();
  EXPECT_THAT(status.message(), HasSubstr(text));
}

TEST(OnnxHostileTest, Cycles) {
  OnnxModel model({-1, 2});
  model.Node("Add", {"x", "c"}, "b");
  model.Node("Relu", {"b"}, "c");
  ExpectRefusal(model, {2}, StatusCode::kInvalidArgument,
                "node 'node_b' (Add) reads 'c', which node 'node_c' (Relu) makes at or after it");
  OnnxModel itself({-1, 2});
  itself.Node("Add", {"x", "y"}, "y");
  ExpectRefusal(itself, {2}, StatusCode::kInvalidArgument, "without cycles");
}

TEST(OnnxHostileTest, MissingInitializers) {
  OnnxModel model({-1, 2});
  model.Node("MatMul", {"x", "w"}, "y");
  ExpectRefusal(model, {2}, StatusCode::kInvalidArgument,
                "node 'node_y' (MatMul) reads 'w', which is no input");
}

TEST(OnnxHostileTest, DuplicateNames) {
  OnnxModel outputs({-1, 2});
  outputs.Node("Relu", {"x"}, "y");
  outputs.Node("Tanh", {"x"}, "y");
  ExpectRefusal(outputs, {2}, StatusCode::kInvalidArgument, "(Tanh) makes 'y', which exists");
  OnnxModel weights({-1, 2});
  weights.Weights("w", {2, 2}).Weights("w", {2, 2}).Node("MatMul", {"x", "w"}, "y");
  ExpectRefusal(weights, {2}, StatusCode::kInvalidArgument, "two initializers have the name 'w'");
  // Node names are for people only.
  OnnxModel nodes({-1, 2});
  nodes.Node("Relu", {"x"}, "a").set_name("same");
  nodes.Node("Tanh", {"a"}, "y").set_name("same");
  EXPECT_TRUE(ImportOnnx(nodes.Bytes(), {2}).ok());
}

TEST(OnnxHostileTest, ShapesThatOverflow) {
  OnnxModel weights({-1, 2});
  weights.Weights("w", {2, 2}).Node("MatMul", {"x", "w"}, "y");
  weights.graph().mutable_initializer(0)->set_dims(0, int64_t{1} << 62);
  weights.graph().mutable_initializer(0)->set_dims(1, int64_t{1} << 62);
  ExpectRefusal(weights, {2}, StatusCode::kResourceExhausted, "node 'node_y' (MatMul)");
  OnnxModel filled({-1, 2});
  filled.Integers("s", {3}, {1 << 21, 1 << 21, 1 << 21}).Node("ConstantOfShape", {"s"}, "c");
  filled.Node("Add", {"x", "c"}, "y");
  ExpectRefusal(filled, {2}, StatusCode::kResourceExhausted, "node 'node_c' (ConstantOfShape)");
  OnnxModel padded({-1, 1, 2, 2});
  padded.Integers("p", {8}, {0, 0, 0, 0, 0, 0, int64_t{1} << 62, 0}).Node("Pad", {"x", "p"}, "y");
  ExpectRefusal(padded, {1, 2, 2}, StatusCode::kInvalidArgument, "node 'node_y' (Pad)");
  OnnxModel reshaped({-1, 2});
  reshaped.Integers("s", {3}, {int64_t{1} << 62, 4, -1}).Node("Reshape", {"x", "s"}, "y");
  ExpectRefusal(reshaped, {2}, StatusCode::kInvalidArgument, "node 'node_y' (Reshape)");
}

TEST(OnnxHostileTest, NegativeDimensions) {
  OnnxModel model({-1, 2});
  model.Weights("w", {2, 2}).Node("MatMul", {"x", "w"}, "y");
  model.graph().mutable_initializer(0)->set_dims(0, -2);
  ExpectRefusal(model, {2}, StatusCode::kInvalidArgument, "dimension -2 is negative");
}

// The length says 2 GiB, the file has a few bytes.
TEST(OnnxHostileTest, AttributesOfTwoGigabytes) {
  OnnxModel model({-1, 2});
  auto& node = model.Node("Relu", {"x"}, "y");
  Set(node, "text", std::string("MARKER"));
  std::vector<uint8_t> bytes = model.Bytes();
  const std::string marker = "MARKER";
  const auto at = std::search(bytes.begin(), bytes.end(), marker.begin(), marker.end());
  ASSERT_NE(at, bytes.end());
  std::vector<uint8_t> length{0xff, 0xff, 0xff, 0xff, 0x07};
  *(at - 1) = length[0];
  bytes.insert(at, length.begin() + 1, length.end());
  const Status status = ImportOnnx(bytes, {2}).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("truncated or damaged"));
}

TEST(OnnxHostileTest, AHundredThousandNodes) {
  OnnxModel model({-1, 2});
  std::string last = "x";
  for (int i = 0; i < 100'000; ++i) {
    const std::string next = "n" + std::to_string(i);
    model.Node("Relu", {last}, next);
    last = next;
  }
  ExpectRefusal(model, {2}, StatusCode::kResourceExhausted,
                "node 'node_n32768' is one too many: a graph may have 32768 nodes");
}

TEST(OnnxHostileTest, TensOfThousandsOfNodes) {
  OnnxModel model({-1, 2});
  std::string last = "x";
  for (int i = 0; i < 30'000; ++i) {
    const std::string next = "n" + std::to_string(i);
    model.Node("Relu", {last}, next);
    last = next;
  }
  ExpectRefusal(model, {2}, StatusCode::kResourceExhausted, "node 'node_n8192' (Relu)");
}

TEST(OnnxHostileTest, AsManyNodesAsAllowedEnd) {
  OnnxModel model({-1, 2});
  std::string last = "x";
  for (int i = 0; i < 4'000; ++i) {
    const std::string next = "n" + std::to_string(i);
    model.Node(i % 2 == 0 ? "Relu" : "Tanh", {last}, next);
    last = next;
  }
  const auto graph = ImportOnnx(model.Bytes(), {2});
  ASSERT_TRUE(graph.ok()) << graph.status().ToString();
  EXPECT_EQ(graph->nodes.size(), 4'000u);
}

TEST(OnnxHostileTest, NestedGraphs) {
  OnnxModel model({-1, 2});
  ::onnx::NodeProto* node = &model.Node("If", {"x"}, "y");
  for (int depth = 0; depth < 50; ++depth) {
    auto& attribute = *node->add_attribute();
    attribute.set_name("then_branch");
    attribute.set_type(::onnx::AttributeProto::GRAPH);
    node = attribute.mutable_g()->add_node();
    node->set_op_type("If");
  }
  ExpectRefusal(model, {2}, StatusCode::kInvalidArgument, "node 'node_y'");
  ExpectRefusal(model, {2}, StatusCode::kInvalidArgument, "nested more than 16 deep");
}

TEST(OnnxHostileTest, Subgraphs) {
  OnnxModel model({-1, 2});
  auto& attribute = *model.Node("If", {"x"}, "y").add_attribute();
  attribute.set_name("then_branch");
  attribute.set_type(::onnx::AttributeProto::GRAPH);
  attribute.mutable_g()->set_name("g");
  ExpectRefusal(model, {2}, StatusCode::kUnsupported, "If at node_y");
}

// A file of a few kilobytes that would make constants of terabytes.
TEST(OnnxHostileTest, ConstantsThatGrow) {
  OnnxModel doubled({-1, 2});
  doubled.Floats("c0", {2}, {1, 2});
  for (int i = 0; i < 60; ++i) {
    const std::string c = "c" + std::to_string(i);
    Set(doubled.Node("Concat", {c, c}, "c" + std::to_string(i + 1)), "axis", int64_t{0});
  }
  doubled.Node("Add", {"x", "c60"}, "y");
  ExpectRefusal(doubled, {2}, StatusCode::kResourceExhausted, "(Concat)");

  OnnxModel many({-1, -1});
  many.Integers("s", {1}, {1 << 24});
  for (int i = 0; i < 1000; ++i) {
    const std::string c = "c" + std::to_string(i);
    many.Node("ConstantOfShape", {"s"}, c);
    many.Node("Add", {i == 0 ? "x" : "a" + std::to_string(i - 1), c}, "a" + std::to_string(i));
  }
  ExpectRefusal(many, {1 << 24}, StatusCode::kResourceExhausted, "node 'node_");

  OnnxModel range({-1, 2});
  range.Floats("a", {}, {0}).Floats("b", {}, {1e30f}).Floats("d", {}, {1e-30f});
  range.Node("Range", {"a", "b", "d"}, "r");
  range.Node("Add", {"x", "r"}, "y");
  ExpectRefusal(range, {2}, StatusCode::kResourceExhausted, "node 'node_r' (Range)");
}

// One weight in the file, used again and again.
TEST(OnnxHostileTest, WeightsThatMultiply) {
  OnnxModel model({-1, 512});
  model.Weights("w", {512, 512});
  std::string last = "x";
  for (int i = 0; i < 8'000; ++i) {
    const std::string next = "n" + std::to_string(i);
    model.Node("MatMul", {last, "w"}, next);
    last = next;
  }
  ExpectRefusal(model, {512}, StatusCode::kResourceExhausted, "its weights are too many");
}

TEST(OnnxHostileTest, LongNames) {
  OnnxModel model({-1, 2});
  model.Node("Relu", {"x"}, std::string(5000, 'n'));
  ExpectRefusal(model, {2}, StatusCode::kResourceExhausted, "has 5000 bytes, allowed are 4096");
}

TEST(OnnxHostileTest, ManyDimensions) {
  OnnxModel model({-1, 2});
  std::vector<int64_t> ones(100'000, 1);
  model.Floats("c", {1}, {1}).Integers("s", {100'000}, ones).Node("Reshape", {"c", "s"}, "r");
  model.Node("Add", {"x", "r"}, "y");
  ExpectRefusal(model, {2}, StatusCode::kInvalidArgument, "node 'node_r' (Reshape)");
}

// Whatever a byte becomes, the importer gives a graph or an error (the sanitizers watch).
TEST(OnnxHostileTest, EveryTruncationAndEveryByteChanged) {
  OnnxModel model({-1, 1, 6, 6});
  model.Weights("w", {2, 1, 3, 3}).Integers("shape", {2}, {1, -1}).Weights("fc", {8, 3});
  model.Node("Conv", {"x", "w"}, "c");
  Set(*model.graph().mutable_node(0), "strides", std::vector<int64_t>{2, 2});
  model.Node("MaxPool", {"c"}, "p");
  Set(*model.graph().mutable_node(1), "kernel_shape", std::vector<int64_t>{1, 1});
  model.Node("Reshape", {"p", "shape"}, "r");
  model.Node("Gemm", {"r", "fc"}, "y");
  const std::vector<uint8_t> whole = model.Bytes();
  ASSERT_TRUE(ImportOnnx(whole, {1, 6, 6}).ok());
  for (size_t size = 0; size < whole.size(); ++size) {
    static_cast<void>(ImportOnnx(std::span(whole).first(size), {1, 6, 6}).ok());
  }
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const int flip : {0x01, 0x10, 0x80, 0xff}) {
      std::vector<uint8_t> changed = whole;
      changed[at] = static_cast<uint8_t>(changed[at] ^ flip);
      static_cast<void>(ImportOnnx(changed, {1, 6, 6}).ok());
    }
  }
}

}  // namespace
}  // namespace haq::import
