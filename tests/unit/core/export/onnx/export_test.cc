// What stands in the exported graph. That other engines compute the same with it is tested in
// tests/peers.
#include "core/export/onnx/export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <onnx/checker.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "tests/support/model_builder.h"
#include "tests/support/random_models.h"

namespace haq::to_onnx {
namespace {

using ::onnx::NodeProto;
using ::onnx::TensorProto;
using test::ModelBuilder;

::onnx::ModelProto Export(const artifact::Model& model, const QdqOptions& options = {}) {
  const auto bytes = ExportQdq(model, options);
  EXPECT_TRUE(bytes.ok()) << bytes.status().ToString();
  ::onnx::ModelProto proto;
  EXPECT_TRUE(proto.ParseFromArray(bytes->data(), static_cast<int>(bytes->size())));
  return proto;
}

std::map<std::string, int> Kinds(const ::onnx::ModelProto& proto) {
  std::map<std::string, int> kinds;
  for (const NodeProto& node : proto.graph().node()) ++kinds[node.op_type()];
  return kinds;
}

const NodeProto* Maker(const ::onnx::ModelProto& proto, const std::string& name) {
  for (const NodeProto& node : proto.graph().node()) {
    if (node.output(0) == name) return &node;
  }
  return nullptr;
}

template <typename T>
std::vector<T> Constant(const ::onnx::ModelProto& proto, const std::string& name) {
  for (const TensorProto& tensor : proto.graph().initializer()) {
    if (tensor.name() != name) continue;
    std::vector<T> values(tensor.raw_data().size() / sizeof(T));
    std::memcpy(values.data(), tensor.raw_data().data(), tensor.raw_data().size());
    return values;
  }
  ADD_FAILURE() << "no constant " << name;
  return {};
}

void Check(const ::onnx::ModelProto& proto) {
  try {
    ::onnx::checker::check_model(proto);
  } catch (const std::exception& error) {
    ADD_FAILURE() << error.what();
  }
}

TEST(ExportOnnxTest, EveryOperatorPassesTheChecker) {
  Check(Export(test::EveryOperator()));
  Check(Export(test::EveryWideOperator()));
  Check(Export(test::MobileNetV2Like(32, 10)));
}

TEST(ExportOnnxTest, EveryConvolutionStandsBetweenItsQuantizations) {
  const ::onnx::ModelProto proto = Export(test::MobileNetV2Like(32, 10));
  int convolutions = 0;
  for (const NodeProto& node : proto.graph().node()) {
    if (node.op_type() != "Conv") continue;
    ++convolutions;
    for (const std::string& input : node.input()) {
      EXPECT_EQ(Maker(proto, input)->op_type(), "DequantizeLinear") << node.name();
    }
    int readers = 0;
    for (const NodeProto& reader : proto.graph().node()) {
      for (const std::string& input : reader.input()) {
        if (input != node.output(0)) continue;
        ++readers;
        EXPECT_EQ(reader.op_type(), "QuantizeLinear") << node.name();
      }
    }
    EXPECT_EQ(readers, 1);
  }
  EXPECT_GE(convolutions, 52);
}

TEST(ExportOnnxTest, EveryReaderHasItsOwnDequantization) {
  const ::onnx::ModelProto proto = Export(test::EveryOperator());
  std::map<std::string, int> readers;
  for (const NodeProto& node : proto.graph().node()) {
    const std::set<std::string> inputs(node.input().begin(), node.input().end());
    for (const std::string& input : inputs) ++readers[input];
  }
  for (const NodeProto& node : proto.graph().node()) {
    const bool constant = Maker(proto, node.input(0)) == nullptr;
    if (node.op_type() != "DequantizeLinear" || constant) continue;
    EXPECT_LE(readers[node.output(0)], 1) << node.output(0);
  }
}

// w = s_w q_w, and the bias is what the accumulator starts with less what the engine adds for its
// roundings and zero points.
TEST(ExportOnnxTest, ScalesAndBiasesAreThoseOfTheLayer) {
  ModelBuilder builder({4, 4, 2}, 3);
  const artifact::Model model =
      builder.Finish(builder.Conv(builder.input(), {.out_channels = 3, .kernel = 1}));
  const ::onnx::ModelProto proto = Export(model);
  const auto& conv = std::get<artifact::Conv2d>(model.layers[0].op);
  const artifact::Tensor &x = model.tensors[model.input], &y = model.tensors[model.output];
  const std::string weight = model.layers[0].name + ".weight";
  const auto scales = Constant<float>(proto, weight + "_scale");
  const auto weights = Constant<int8_t>(proto, weight + "_quantized");
  const auto biases = Constant<int32_t>(proto, model.layers[0].name + ".bias_quantized");
  EXPECT_EQ(weights, std::vector<int8_t>(conv.weight.begin(), conv.weight.end()));
  ASSERT_EQ(scales.size(), 3u);
  for (size_t c = 0; c < 3; ++c) {
    // The level of one accumulator, in the engine's arithmetic and in real numbers.
    const int32_t products = 1000;
    int32_t total = 0;
    for (size_t i = 0; i < 2; ++i) total += conv.weight[c * 2 + i];
    const int level =
        fixedpoint::Requantize(products + conv.channels[c].bias, conv.channels[c], conv.requantize);
    const double real = double(x.scale) * scales[c] *
                        (products - double(x.zero_point) * total + biases[c]) / y.scale;
    const double expected = std::clamp(real + y.zero_point, double(conv.requantize.q_min),
                                       double(conv.channels[c].q_max));
    EXPECT_NEAR(level, expected, 0.53) << c;
  }
}

TEST(ExportOnnxTest, APartOfASumIsAConvolution) {
  ModelBuilder builder({4, 4, 2}, 1);
  const artifact::Model model = builder.Finish(
      builder.Conv(builder.input(),
                   {.out_channels = 2, .kernel = 3, .padding = 1, .residual = builder.input()}));
  for (const int parts : {1, 2, 5}) {
    const ::onnx::ModelProto proto = Export(model, {.sum_parts = parts});
    Check(proto);
    EXPECT_EQ(Kinds(proto)["Conv"], parts);
    EXPECT_EQ(Kinds(proto)["Add"], parts + 1);  // one of them breaks ties of the input
  }
}

TEST(ExportOnnxTest, TensorsOf16BitsAreFloats) {
  ModelBuilder builder({6}, 1);
  const artifact::Model model = builder.Finish(builder.Linear(builder.input(), 3, /*wide=*/true));
  const ::onnx::ModelProto proto = Export(model);
  EXPECT_EQ(Kinds(proto)["Gemm"], 1);
  EXPECT_EQ(Kinds(proto)["QuantizeLinear"], 1);  // of the input
}

// Nothing else does what their first and last level do: a ReLU may be no more than that.
TEST(ExportOnnxTest, TensorsOf16BitsAreCutToTheirLevels) {
  ModelBuilder builder({6}, 1);
  const artifact::Model model = builder.Finish(builder.Linear(builder.input(), 3, /*wide=*/true));
  const ::onnx::ModelProto proto = Export(model);
  const artifact::Tensor& y = model.tensors[model.output];
  const NodeProto* clip = Maker(proto, proto.graph().output(0).name());
  ASSERT_EQ(clip->op_type(), "Min");
  const auto& op = std::get<artifact::WideLinear>(model.layers.back().op);
  const NodeProto* above = Maker(proto, clip->input(0));
  EXPECT_EQ(above->op_type(), "Max");
  EXPECT_FLOAT_EQ(Constant<float>(proto, above->input(1))[0], y.scale * (op.q_min - y.zero_point));
  const auto high = Constant<float>(proto, clip->input(1));
  ASSERT_EQ(high.size(), op.channels.size());
  for (size_t c = 0; c < high.size(); ++c) {
    EXPECT_FLOAT_EQ(high[c], y.scale * (op.channels[c].q_max - y.zero_point));
  }
}

TEST(ExportOnnxTest, AWideSumOfOneSummandIsNoSum) {
  artifact::Model model = test::EveryWideOperator();
  const int sums = Kinds(Export(model))["Add"];
  for (artifact::Layer& layer : model.layers) {
    if (auto* add = std::get_if<artifact::WideAdd>(&layer.op)) add->requantize.multiplier_b = 0;
  }
  EXPECT_LT(Kinds(Export(model))["Add"], sums);
}

// ONNX Runtime compares them before it computes with integers.
TEST(ExportOnnxTest, AScaleOfABiasIsTheProductOfTheOthers) {
  const artifact::Model model = test::MobileNetV2Like(32, 10);
  const ::onnx::ModelProto proto = Export(model);
  int compared = 0;
  for (const NodeProto& node : proto.graph().node()) {
    if (node.op_type() != "Conv") continue;
    const auto scales = [&](int input) {
      return Constant<float>(proto, Maker(proto, node.input(input))->input(1));
    };
    const std::vector<float> x = scales(0), weight = scales(1), bias = scales(2);
    for (size_t c = 0; c < bias.size(); ++c, ++compared) EXPECT_EQ(bias[c], x[0] * weight[c]);
  }
  EXPECT_GT(compared, 1000);
}

// ONNX Runtime makes one pair of two and gives it a scale of its own, which is then not that of the
// next convolution's bias.
TEST(ExportOnnxTest, AChangeOfScaleIsATable) {
  ModelBuilder builder({8, 8, 3}, 5);
  const int32_t a = builder.Conv(builder.input(), {.kernel = 3, .padding = 1});
  ASSERT_NE(builder.tensor(a).scale, builder.tensor(builder.input()).scale);
  artifact::Model model = builder.Finish(builder.Concat({a, builder.input()}, 2));
  for (artifact::Layer& layer : model.layers) {
    auto* table = std::get_if<artifact::Table>(&layer.op);
    if (table == nullptr) continue;
    const artifact::Tensor &x = model.tensors[layer.inputs[0]], &y = model.tensors[layer.output];
    for (int q = 0; q < 256; ++q) {
      const double level = double(x.scale) * (q - x.zero_point) / y.scale;
      table->table[q] =
          static_cast<uint8_t>(std::clamp(std::nearbyint(level) + y.zero_point, 0.0, 255.0));
    }
  }
  const ::onnx::ModelProto proto = Export(model);
  EXPECT_EQ(Kinds(proto)["Gather"], 1);
  for (const NodeProto& node : proto.graph().node()) {
    if (node.op_type() != "QuantizeLinear") continue;
    const NodeProto* maker = Maker(proto, node.input(0));
    EXPECT_TRUE(maker == nullptr || maker->op_type() != "DequantizeLinear") << node.name();
  }
}

TEST(ExportOnnxTest, TheEdgesHaveTheArtifactsNamesAndAnyBatch) {
  const artifact::Model model = test::EveryOperator();
  const ::onnx::ModelProto proto = Export(model);
  ASSERT_EQ(proto.graph().input_size(), 1);
  ASSERT_EQ(proto.graph().output_size(), 1);
  EXPECT_EQ(proto.graph().input(0).name(), model.tensors[model.input].name);
  EXPECT_EQ(proto.graph().output(0).name(), model.tensors[model.output].name);
  const auto& shape = proto.graph().input(0).type().tensor_type().shape();
  EXPECT_EQ(shape.dim(0).dim_param(), "N");
  EXPECT_EQ(shape.dim(1).dim_value(), model.tensors[model.input].shape[2]);
  EXPECT_EQ(proto.opset_import(0).version(), 13);
}

TEST(ExportOnnxTest, RefusesPartsOutOfRange) {
  ModelBuilder builder({6}, 1);
  const artifact::Model model = builder.Finish(builder.Linear(builder.input(), 3));
  for (const int parts : {0, 9}) {
    const Status status = ExportQdq(model, {.sum_parts = parts}).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(status.fields()[0].field, "sum_parts");
  }
}

}  // namespace
}  // namespace haq::to_onnx
