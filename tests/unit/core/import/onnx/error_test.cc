// Models that are refused, and what the messages name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/import/onnx/import.h"
#include "tests/support/onnx_model.h"

namespace haq::import {
namespace {

using test::OnnxModel;
using test::Set;
using testing::HasSubstr;
using testing::Not;

Status Refusal(OnnxModel& model, const std::vector<int64_t>& shape) {
  return ImportOnnx(model.Bytes(), shape).status();
}

void ExpectRefusal(const Status& status, StatusCode code, const std::string& text) {
  EXPECT_EQ(status.code(), code) << status.ToString();
  EXPECT_THAT(status.message(), HasSubstr(text));
}

TEST(OnnxErrorTest, NoModel) {
  const std::vector<uint8_t> gif{'G', 'I', 'F', '8', '9', 'a'}, zip{'P', 'K', 3, 4};
  ExpectRefusal(ImportOnnx(gif, {2}).status(), StatusCode::kInvalidArgument, "nor an ONNX model");
  ExpectRefusal(ImportOnnx(zip, {2}).status(), StatusCode::kInvalidArgument, "no ONNX model");
}

TEST(OnnxErrorTest, Opsets) {
  for (const int64_t opset : {6, 18}) {
    OnnxModel model({-1, 2}, opset);
    model.Node("Relu", {"x"}, "y");
    ExpectRefusal(Refusal(model, {2}), StatusCode::kUnsupported, "supported are 7 to 17");
  }
}

TEST(OnnxErrorTest, TheInputsShape) {
  OnnxModel model({-1, 3, 8, -1});
  model.Node("Relu", {"x"}, "y");
  EXPECT_TRUE(Refusal(model, {3, 8, 5}).ok());
  const Status status = Refusal(model, {3, 9, 5});
  ExpectRefusal(status, StatusCode::kInvalidArgument, "the model's input 'x' has 8 in dimension 2");
  EXPECT_EQ(status.fields()[0].field, "input_shape");
  ExpectRefusal(Refusal(model, {3, 8}), StatusCode::kInvalidArgument, "has 2 dimensions");
  ExpectRefusal(Refusal(model, {3, 8, 0}), StatusCode::kInvalidArgument, "not positive");
}

TEST(OnnxErrorTest, InputsAndOutputs) {
  OnnxModel two({-1, 2});
  two.graph().add_input()->set_name("second");
  two.Node("Add", {"x", "second"}, "y");
  ExpectRefusal(Refusal(two, {2}), StatusCode::kUnsupported, "takes 2 inputs (x, second)");
  OnnxModel heads({-1, 2});
  heads.Node("Relu", {"x"}, "y");
  ::onnx::ModelProto proto;
  const auto bytes = heads.Bytes();
  proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  proto.mutable_graph()->add_output()->set_name("aux");
  ExpectRefusal(ImportOnnx(test::BytesOf(proto), {2}).status(), StatusCode::kUnsupported,
                "returns 2 outputs (y, aux)");
  OnnxModel constant({-1, 2});
  constant.Floats("c", {1}, {1}).Node("Identity", {"c"}, "y");
  ExpectRefusal(Refusal(constant, {2}), StatusCode::kInvalidArgument, "does not depend on");
}

TEST(OnnxErrorTest, IntegerInput) {
  OnnxModel model({-1, 2});
  model.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
      ::onnx::TensorProto::INT64);
  model.Node("Relu", {"x"}, "y");
  ExpectRefusal(Refusal(model, {2}), StatusCode::kUnsupported, "it has to take floats");
}

TEST(OnnxErrorTest, DataInAnotherFile) {
  OnnxModel model({-1, 2});
  model.Weights("w", {2, 2}).Node("MatMul", {"x", "w"}, "y");
  auto& tensor = *model.graph().mutable_initializer(0);
  tensor.clear_float_data();
  tensor.set_data_location(::onnx::TensorProto::EXTERNAL);
  auto& entry = *tensor.add_external_data();
  entry.set_key("location");
  entry.set_value("/etc/passwd");
  const Status status = Refusal(model, {2});
  ExpectRefusal(status, StatusCode::kUnsupported, "data in another file");
  EXPECT_THAT(status.message(), HasSubstr("'w'"));
}

TEST(OnnxErrorTest, DataOfAnAttributeInAnotherFile) {
  OnnxModel model({-1, 2});
  auto& attribute = *model.Node("Constant", {}, "c").add_attribute();
  attribute.set_name("value");
  attribute.set_type(::onnx::AttributeProto::TENSOR);
  attribute.mutable_t()->set_data_location(::onnx::TensorProto::EXTERNAL);
  model.Node("Add", {"x", "c"}, "y");
  const Status status = Refusal(model, {2});
  ExpectRefusal(status, StatusCode::kUnsupported, "data in another file");
  EXPECT_THAT(status.message(), HasSubstr("node 'node_c' (Constant)"));
}

TEST(OnnxErrorTest, EveryUnknownOperatorIsNamedWithItsNodes) {
  OnnxModel model({-1, 2});
  model.Node("Erf", {"x"}, "a");
  model.Node("Relu", {"a"}, "b");
  model.Node("Gelu", {"b"}, "c").set_domain("com.microsoft");
  model.Node("Erf", {"c"}, "y");
  const Status status = Refusal(model, {2});
  ExpectRefusal(status, StatusCode::kUnsupported, "unsupported operators, 3 in all");
  EXPECT_THAT(status.message(), HasSubstr("Erf at node_a, node_y"));
  EXPECT_THAT(status.message(), HasSubstr("com.microsoft::Gelu at node_c"));
  EXPECT_THAT(status.message(), HasSubstr("supported are Add, "));
}

TEST(OnnxErrorTest, AUseThatIsNotSupported) {
  OnnxModel model({-1, 1, 4, 4});
  model.Weights("w", {1, 1, 2, 2}).Node("ConvTranspose", {"x", "w"}, "y");
  const Status status = Refusal(model, {1, 4, 4});
  ExpectRefusal(status, StatusCode::kUnsupported, "ConvTranspose (transposed convolutions have no");
  EXPECT_THAT(status.message(), HasSubstr("at node_y"));
  EXPECT_THAT(status.message(), Not(HasSubstr("supported are Add, ")));
}

TEST(OnnxErrorTest, WhatTheSchemaForbids) {
  OnnxModel model({-1, 1, 4, 4});
  model.Node("MaxPool", {"x"}, "y");  // without kernel_shape
  const Status status = Refusal(model, {1, 4, 4});
  ExpectRefusal(status, StatusCode::kInvalidArgument, "node 'node_y' (MaxPool)");
  EXPECT_THAT(status.message(), HasSubstr("kernel_shape"));
}

TEST(OnnxErrorTest, InputsThatHaveNoName) {
  for (const std::string kind : {"Shape", "Relu", "Add", "Conv", "Softmax", "DequantizeLinear"}) {
    OnnxModel model({-1, 2});
    model.Node(kind, std::vector<std::string>(kind == "Add" ? 2 : 1), "a");
    model.Node("Cast", {"a"}, "b");
    Set(*model.graph().mutable_node(1), "to", int64_t{1});
    model.Node("Add", {"x", "b"}, "y");
    EXPECT_EQ(Refusal(model, {2}).code(), StatusCode::kInvalidArgument) << kind;
    EXPECT_THAT(Refusal(model, {2}).message(), HasSubstr("node_a")) << kind;
  }
}

TEST(OnnxErrorTest, NumbersThatAreNotFinite) {
  OnnxModel model({-1, 2});
  model.Floats("w", {2, 1}, {1, std::numeric_limits<float>::quiet_NaN()});
  model.Node("MatMul", {"x", "w"}, "y");
  ExpectRefusal(Refusal(model, {2}), StatusCode::kInvalidArgument, "nan at position 1");
}

// A part of the batch is something else for every batch.
TEST(OnnxErrorTest, SlicesOfTheBatch) {
  OnnxModel part({-1, 2}), whole({-1, 2});
  for (OnnxModel* model : {&part, &whole}) {
    model->Integers("s", {1}, {0}).Integers("a", {1}, {0});
    model->Integers("e", {1}, {model == &part ? 3 : std::numeric_limits<int64_t>::max()});
    model->Node("Slice", {"x", "s", "e", "a"}, "sliced");
    model->Node("Relu", {"sliced"}, "y");
  }
  ExpectRefusal(Refusal(part, {2}), StatusCode::kUnsupported, "takes a part of the batch");
  EXPECT_TRUE(Refusal(whole, {2}).ok());
}

TEST(OnnxErrorTest, ResizesThatAreNoRepetition) {
  OnnxModel model({-1, 1, 4, 4});
  model.Floats("s", {4}, {1, 1, 1.5f, 2}).Node("Resize", {"x", "", "s"}, "y");
  ExpectRefusal(Refusal(model, {1, 4, 4}), StatusCode::kUnsupported, "dimension 2 by 1.5");
  OnnxModel floor({-1, 1, 4, 4});
  auto& node = floor.Floats("s", {4}, {1, 1, 2, 2}).Node("Resize", {"x", "", "s"}, "y");
  Set(node, "nearest_mode", std::string("floor"));
  ExpectRefusal(Refusal(floor, {1, 4, 4}), StatusCode::kUnsupported, "does not repeat");
}

}  // namespace
}  // namespace haq::import
