#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "core/artifact/model.h"
#include "tests/support/model_builder.h"
#include "tests/support/random_models.h"

namespace haq::artifact {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// The first layer of that operator in a model that has them all.
template <typename T>
Layer& LayerOf(Model& model) {
  for (Layer& layer : model.layers) {
    if (std::holds_alternative<T>(layer.op)) return layer;
  }
  std::abort();
}
template <typename T>
T& OpOf(Model& model) {
  return std::get<T>(LayerOf<T>(model).op);
}

// Breaks one thing in a valid model and expects the message to say which.
void ExpectRefusedFrom(Model model, const std::function<void(Model&)>& damage,
                       const std::string& message, StatusCode code = StatusCode::kDataLoss) {
  ASSERT_TRUE(Verify(model).ok());
  damage(model);
  const Status status = Verify(model);
  EXPECT_EQ(status.code(), code) << status.ToString();
  EXPECT_THAT(status.message(), HasSubstr(message));
}

void ExpectRefused(const std::function<void(Model&)>& damage, const std::string& message,
                   StatusCode code = StatusCode::kDataLoss) {
  ExpectRefusedFrom(test::EveryOperator(), damage, message, code);
}
void ExpectWideRefused(const std::function<void(Model&)>& damage, const std::string& message,
                       StatusCode code = StatusCode::kDataLoss) {
  ExpectRefusedFrom(test::EveryWideOperator(), damage, message, code);
}

TEST(Verify, TensorsAreSound) {
  ExpectRefused([](Model& m) { m.tensors[2].shape = {}; }, "the shape is empty");
  ExpectRefused([](Model& m) { m.tensors[2].shape[0] = 0; }, "tensor 2 \"t2\": dimension 0");
  ExpectRefused([](Model& m) { m.tensors[2].shape[0] = -4; }, "dimension -4");
  ExpectRefused([](Model& m) { m.tensors[2].scale = 0; }, "scale 0");
  ExpectRefused([](Model& m) { m.tensors[2].scale = -1; }, "scale -1");
  ExpectRefused([](Model& m) { m.tensors[2].scale = std::numeric_limits<float>::infinity(); },
                "scale inf");
  ExpectRefused([](Model& m) { m.tensors[2].zero_point = 256; }, "zero point 256");
  ExpectRefused([](Model& m) { m.tensors[2].zero_point = -1; }, "zero point -1");
  ExpectRefused([](Model& m) { m.tensors[2].type = static_cast<DataType>(9); }, "data type 9",
                StatusCode::kUnsupported);
  ExpectRefused(
      [](Model& m) {
        m.tensors[2].shape = {1 << 30, 1 << 30, 1 << 30};
      },
      "elements", StatusCode::kResourceExhausted);
  ExpectRefused([](Model& m) { m.tensors[2].shape = std::vector<int32_t>(9, 1); }, "rank",
                StatusCode::kResourceExhausted);
}

TEST(Verify, OrderOfExecutionIsSound) {
  ExpectRefused([](Model& m) { m.input = 99; }, "input 99");
  ExpectRefused([](Model& m) { m.output = -1; }, "output -1");
  ExpectRefused([](Model& m) { m.layers[1].inputs[0] = 99; },
                "layer 1 \"layer1\" (conv2d): input 99");
  ExpectRefused([](Model& m) { m.layers[1].output = 99; }, "output 99");
  ExpectRefused([](Model& m) { m.layers[0].inputs[0] = 3; }, "read before it is produced");
  ExpectRefused([](Model& m) { m.layers[1].output = m.layers[0].output; }, "produced twice");
  ExpectRefused([](Model& m) { m.layers[0].output = m.input; }, "produced twice");
  ExpectRefused([](Model& m) { m.tensors.push_back(m.tensors[0]); }, "never produced");
  ExpectRefused([](Model& m) { m.layers[0].inputs.push_back(0); }, "2 inputs, 1 needed");
  ExpectRefused([](Model& m) { m.layers[1].inputs.clear(); }, "0 inputs, 1 needed");
  ExpectRefused([](Model& m) { m.input_shape = {9, 8, 3}; }, "input_shape");
}

TEST(Verify, ConvolutionIsSound) {
  const auto conv = [](auto damage) { return [=](Model& m) { damage(OpOf<Conv2d>(m), m); }; };
  ExpectRefused(conv([](Conv2d& c, Model&) { c.stride_h = 0; }), "stride 0");
  ExpectRefused(conv([](Conv2d& c, Model&) { c.stride_w = 3; }), "columns: output");
  ExpectRefused(conv([](Conv2d& c, Model&) { c.kernel_h = 0; }), "kernel 0");
  ExpectRefused(conv([](Conv2d& c, Model&) { c.kernel_h = 1 << 30; }), "kernel");
  ExpectRefused(conv([](Conv2d& c, Model&) { c.padding.left = -1; }), "padding -1");
  ExpectRefused(conv([](Conv2d& c, Model&) { c.padding.bottom = 5; }), "rows: output");
  ExpectRefused(conv([](Conv2d& c, Model&) { c.dilation_w = 0; }), "dilation 0");
  ExpectRefused(conv([](Conv2d& c, Model&) { c.groups = 2; }), "groups do not divide");
  ExpectRefused(conv([](Conv2d& c, Model&) { c.groups = 0; }), "groups");
  ExpectRefused(conv([](Conv2d& c, Model&) { c.groups = 3; }), "weights, 108 needed");
  ExpectRefused(conv([](Conv2d& c, Model&) { c.weight = c.weight.first(5); }), "weights");
  ExpectRefused(conv([](Conv2d& c, Model&) { c.channels = c.channels.first(11); }),
                "11 channels, 12 needed");
  ExpectRefused(conv([](Conv2d& c, Model&) { c.requantize.fraction_bits = 8; }), "fraction_bits 8");
  ExpectRefused(conv([](Conv2d& c, Model&) { c.requantize.output_offset = 256; }),
                "output_offset 256");
  ExpectRefused(conv([](Conv2d& c, Model&) { c.requantize.fraction_bits = 5; }), "fraction_bits 5");
  ExpectRefused(conv([](Conv2d& c, Model&) { c.residual_multiplier = 1; }),
                "residual_multiplier 1 without a residual");
}

TEST(Verify, ResidualsAreSound) {
  const auto layer = [](Model& m) -> Layer& {
    for (Layer& candidate : m.layers) {
      if (std::holds_alternative<Conv2d>(candidate.op) && candidate.inputs.size() == 2) {
        return candidate;
      }
    }
    std::abort();
  };
  const auto conv = [=](Model& m) -> Conv2d& { return std::get<Conv2d>(layer(m).op); };
  ExpectRefused([=](Model& m) { conv(m).residual_multiplier = -1; }, "residual_multiplier -1");
  ExpectRefused([=](Model& m) { conv(m).requantize.fraction_bits = 3; }, "outside [4, 7]");
  ExpectRefused([=](Model& m) { layer(m).inputs[1] = m.input; },
                "the residual must have the output's shape");
  ExpectRefused([=](Model& m) { layer(m).inputs.push_back(m.input); }, "3 inputs");
  ExpectRefused([=](Model& m) { layer(m).inputs[1] = m.output; }, "read before it is produced");
}

TEST(Verify, ChannelParametersAndWeightsAreInRange) {
  const auto channel = [](auto damage) {
    return [=](Model& m) {
      Conv2d& c = OpOf<Conv2d>(m);
      std::vector<fixedpoint::ChannelRequantize> channels(c.channels.begin(), c.channels.end());
      damage(channels[7]);
      c.channels = m.Own(std::move(channels));
    };
  };
  ExpectRefused(channel([](auto& r) { r.multiplier = (1 << 14) - 1; }), "multiplier 16383");
  ExpectRefused(channel([](auto& r) { r.multiplier = -30000; }), "multiplier -30000");
  ExpectRefused(channel([](auto& r) { r.shift = 32; }), "shift 32");
  ExpectRefused(channel([](auto& r) { r.shift = -16; }), "shift -16");
  ExpectRefused(
      [=](Model& m) {
        OpOf<Conv2d>(m).requantize.q_min = 9;
        channel([](auto& r) { r.q_max = 8; })(m);
      },
      "clamp [9, 8]");
  // The certificate does not cover this bias.
  ExpectRefused(channel([](auto& r) { r.bias = 2000000000; }), "certificate");
  ExpectRefused(
      [](Model& m) {
        Conv2d& c = OpOf<Conv2d>(m);
        std::vector<int8_t> weight(c.weight.begin(), c.weight.end());
        weight[3] = -128;
        c.weight = m.Own(std::move(weight));
      },
      "weight -128");
}

void ExpectCertificatesRecomputed(Model model) {
  for (Layer& layer : model.layers) {
    const AccumulatorBounds bounds = BoundAccumulator(model, layer);
    EXPECT_EQ(bounds.min, layer.acc_min);
    EXPECT_EQ(bounds.max, layer.acc_max);
    if (bounds.min == 0 && bounds.max == 0) continue;
    ++layer.acc_min;
    EXPECT_THAT(Verify(model).message(), AllOf(HasSubstr(layer.name), HasSubstr("certificate")));
    --layer.acc_min;
    --layer.acc_max;
    EXPECT_THAT(Verify(model).message(), AllOf(HasSubstr(layer.name), HasSubstr("certificate")));
    ++layer.acc_max;
  }
  EXPECT_TRUE(Verify(model).ok());
}

TEST(Verify, CertificateIsRecomputed) {
  ExpectCertificatesRecomputed(test::EveryOperator());
  ExpectCertificatesRecomputed(test::EveryWideOperator());
}

// What 8-bit operators promise must fit their accumulators; wide ones have 64 bits.
TEST(Verify, CertificateOfNarrowOperatorsIsInsideInt32) {
  const int64_t beyond = int64_t{std::numeric_limits<int32_t>::max()} + 1;
  ExpectRefused([=](Model& m) { LayerOf<Conv2d>(m).acc_max = beyond; }, "leaves int32");
  ExpectRefused([=](Model& m) { LayerOf<AvgPool2d>(m).acc_min = -beyond - 1; }, "leaves int32");
  Model model = test::EveryWideOperator();
  LayerOf<WideConv2d>(model).acc_max += beyond;
  EXPECT_TRUE(Verify(model).ok());
  int64_t largest = 0;
  for (const Layer& layer : model.layers) largest = std::max(largest, layer.acc_max);
  EXPECT_GT(largest, beyond) << "no test without a sum over int32";
}

// 70,000 products of 127 and 255 leave int32 although the bias brings their sum back.
TEST(Verify, SumsStayInsideInt32WithoutTheBiasToo) {
  Model model;
  model.tensors.resize(2);
  model.tensors[0].shape = {70000};
  model.tensors[1].shape = {1};
  model.output = 1;
  model.input_shape = {70000};
  Linear linear;
  linear.weight = model.Own(std::vector<int8_t>(70000, 127));
  linear.channels =
      model.Own(std::vector<fixedpoint::ChannelRequantize>{{-1500000000, 1 << 14, 8}});
  model.layers.push_back({"sum",
                          linear,
                          {0},
                          1,
                          std::numeric_limits<int32_t>::min(),
                          std::numeric_limits<int32_t>::max()});
  const Status status = Verify(model);
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_THAT(status.message(), HasSubstr("the sum of channel 0 can leave int32"));
}

TEST(Verify, OtherOperatorsAreSound) {
  ExpectRefused([](Model& m) { OpOf<Linear>(m).weight = OpOf<Linear>(m).weight.first(9); },
                "9 weights");
  ExpectRefused([](Model& m) { OpOf<Add>(m).requantize.shift = 31; }, "shift 31");
  ExpectRefused([](Model& m) { OpOf<Add>(m).requantize.constant = 2147483647; }, "leave int32");
  ExpectRefused([](Model& m) { LayerOf<Add>(m).inputs[1] = m.input; }, "(add)",
                StatusCode::kUnsupported);
  ExpectRefused([](Model& m) { OpOf<Mul>(m).channel.shift = 40; }, "shift 40");
  ExpectRefused([](Model& m) { OpOf<Concat>(m).axis = 3; }, "axis 3");
  ExpectRefused([](Model& m) { OpOf<Concat>(m).axis = 0; }, "input");
  ExpectRefused([](Model& m) { LayerOf<Concat>(m).inputs.pop_back(); }, "together along the axis");
  ExpectRefused([](Model& m) { m.tensors[LayerOf<MaxPool2d>(m).output].scale *= 2; },
                "share type, scale and zero point");
  ExpectRefused([](Model& m) { OpOf<MaxPool2d>(m).kernel_w = 30; }, "columns: output");
  ExpectRefused(
      [](Model& m) { OpOf<MaxPool2d>(m).padding.top = 11, OpOf<MaxPool2d>(m).padding.bottom = -9; },
      "padding -9");
  ExpectRefused(
      [](Model& m) {
        AvgPool2d& p = OpOf<AvgPool2d>(m);
        std::vector<int32_t> end(p.row_end.begin(), p.row_end.end());
        end[1] = 11;
        p.row_end = m.Own(std::move(end));
      },
      "is not a part of [0, 10)");
  ExpectRefused([](Model& m) { OpOf<AvgPool2d>(m).counts = OpOf<AvgPool2d>(m).counts.subspan(1); },
                "(avg_pool2d)");
  ExpectRefused([](Model& m) { OpOf<Pad>(m).before[1] = -1; }, "padding -1");
  ExpectRefused([](Model& m) { OpOf<Pad>(m).after[1] += 1; }, "padded by");
  ExpectRefused([](Model& m) { OpOf<Pad>(m).before.pop_back(); }, "for rank 3");
  ExpectRefused([](Model& m) { OpOf<Slice>(m).step = 0; }, "step 0");
  ExpectRefused([](Model& m) { OpOf<Slice>(m).start = -1; }, "start -1");
  ExpectRefused([](Model& m) { OpOf<Slice>(m).start = 4; }, "are not in the input");
  ExpectRefused([](Model& m) { OpOf<Transpose>(m).order = {0, 1, 1}; }, "not a permutation");
  ExpectRefused([](Model& m) { OpOf<Transpose>(m).order = {0, 1, 2}; }, "output dimension 0");
  ExpectRefused([](Model& m) { OpOf<Softmax>(m).table = OpOf<Softmax>(m).table.first(255); },
                "256 needed");
  ExpectRefused([](Model& m) { OpOf<Softmax>(m).table = m.Own(std::vector<uint32_t>(256, 5)); },
                "2^24");
}

TEST(Verify, WideOperatorsAreSound) {
  const auto channel = [](auto damage) {
    return [=](Model& m) {
      WideConv2d& c = OpOf<WideConv2d>(m);
      std::vector<fixedpoint::WideChannel> channels(c.channels.begin(), c.channels.end());
      damage(channels[7]);
      c.channels = m.Own(std::move(channels));
    };
  };
  ExpectWideRefused(channel([](auto& r) { r.multiplier = (1 << 30) - 1; }),
                    "multiplier 1073741823");
  ExpectWideRefused(channel([](auto& r) { r.pre_shift = 27; }), "pre_shift 27");
  ExpectWideRefused(channel([](auto& r) { r.pre_shift = -1; }), "pre_shift -1");
  ExpectWideRefused(channel([](auto& r) { r.shift = 1; }), "shift 1");
  ExpectWideRefused(channel([](auto& r) { r.shift = 32; }), "shift 32");
  ExpectWideRefused(channel([](auto& r) { r.bias = (int64_t{1} << 60) + 1; }), "outside [-2^60");
  ExpectWideRefused([](Model& m) { OpOf<WideConv2d>(m).stride_h = 0; }, "stride 0");
  ExpectWideRefused([](Model& m) { OpOf<WideConv2d>(m).residual_multiplier = 1; },
                    "residual_multiplier 1 without a residual");
  ExpectWideRefused([](Model& m) { OpOf<WideConv2d>(m).channels = {}; }, "0 channels, 12 needed");
  ExpectWideRefused([](Model& m) { OpOf<WideConv2d>(m).weight = {}; }, "weights");
  ExpectWideRefused([](Model& m) { OpOf<WideLinear>(m).weight = {}; }, "0 weights");
  ExpectWideRefused([](Model& m) { OpOf<WideLinear>(m).channels = {}; }, "0 channels, 10 needed");
  ExpectWideRefused([](Model& m) { OpOf<WideAdd>(m).requantize.shift = 41; }, "shift 41");
  ExpectWideRefused([](Model& m) { OpOf<WideAdd>(m).requantize.multiplier_b = -1; },
                    "-1 are outside");
  ExpectWideRefused([](Model& m) { OpOf<WideAdd>(m).requantize.constant = int64_t{1} << 62; },
                    "outside [-2^61, 2^61]");
  ExpectWideRefused(
      [](Model& m) {
        OpOf<WideAdd>(m).requantize.q_min = 65535, OpOf<WideAdd>(m).requantize.q_max = 65534;
      },
      "clamp [65535, 65534]");
  ExpectWideRefused([](Model& m) { OpOf<WideAvgPool2d>(m).by_count = {}; }, "0 requantizations");
  ExpectWideRefused([](Model& m) { OpOf<WideAvgPool2d>(m).row_begin = {}; }, "window bounds");
  // Levels beyond those of the output's type.
  ExpectWideRefused(
      [](Model& m) {
        for (Layer& layer : m.layers) {
          auto* conv = std::get_if<WideConv2d>(&layer.op);
          if (conv == nullptr || m.tensors[layer.output].type != DataType::kUint8) continue;
          std::vector<fixedpoint::WideChannel> channels(conv->channels.begin(),
                                                        conv->channels.end());
          channels[0].q_max = 256;
          conv->channels = m.Own(std::move(channels));
          return;
        }
      },
      "clamp [0, 256] is not a range within [0, 255]");
  test::ModelBuilder b({4, 4, 2}, 1);
  ExpectRefusedFrom(
      b.Finish(b.Pad(b.input(), {1, 1, 0}, {1, 1, 0})), [](Model& m) { OpOf<Pad>(m).value = 256; },
      "value 256 is outside [0, 255]");
}

// Operators without a wide form, and those that keep the type, refuse the other width.
TEST(Verify, WidthsAgree) {
  const auto widen = [](auto get) {
    return [=](Model& m) { m.tensors[get(m)].type = DataType::kUint16; };
  };
  ExpectRefused(widen([](Model& m) { return LayerOf<Conv2d>(m).output; }), "data type",
                StatusCode::kUnsupported);
  ExpectRefused(widen([](Model& m) { return LayerOf<Mul>(m).output; }), "data type",
                StatusCode::kUnsupported);
  ExpectRefused(widen([](Model& m) { return LayerOf<Table>(m).output; }), "data type",
                StatusCode::kUnsupported);
  ExpectRefused(widen([](Model& m) { return LayerOf<MaxPool2d>(m).output; }), "share type");
  ExpectRefused(widen([](Model& m) { return LayerOf<Slice>(m).output; }), "share type");
  ExpectWideRefused(
      [](Model& m) {
        m.tensors[m.input].type = DataType::kUint8, m.tensors[m.input].zero_point = 0;
      },
      "share type");
}

// A window that keeps nothing of the image has no largest element.
TEST(Verify, MaxPoolWindowsKeepAPartOfTheImage) {
  test::ModelBuilder b({4, 4, 2}, 1);
  Model model = b.Finish(b.MaxPool(b.input(), 2, 2, 1));
  auto& pool = std::get<MaxPool2d>(model.layers[0].op);
  pool.padding = {2, 1, 0, 1};  // rows: the first window lies above the image
  EXPECT_THAT(Verify(model).message(), HasSubstr("outside of the image"));
  pool.padding = {0, 1, 2, 1};  // the last one below
  EXPECT_THAT(Verify(model).message(), HasSubstr("outside of the image"));
}

// Everything may be said in one model: an input that is the output.
TEST(Verify, ModelsWithoutLayersAreModels) {
  test::ModelBuilder b({4, 4, 2}, 1);
  EXPECT_TRUE(Verify(b.Finish(b.input())).ok());
}

}  // namespace
}  // namespace haq::artifact
