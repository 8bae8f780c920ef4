#include "core/pipeline/sensitivity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "core/pipeline/tensor_origins.h"
#include "core/runtime/session.h"
#include "tests/support/seed.h"

namespace haq::pipeline {
namespace {

using testing::ElementsAre;

// The value that the level nearest to x stands for.
double Rounded(double x, const artifact::Tensor& tensor, int levels = 256) {
  const double level = std::nearbyint(x / tensor.scale) + tensor.zero_point;
  return tensor.scale * (std::clamp(level, 0.0, levels - 1.0) - tensor.zero_point);
}

class SensitivityTest : public testing::Test {
 protected:
  std::vector<float> Random(size_t count, float sigma = 1) {
    std::normal_distribution<float> normal(0, sigma);
    std::vector<float> values(count);
    for (float& value : values) value = normal(random_);
    return values;
  }

  ir::Linear Linear(int64_t out, int64_t in) {
    return {{{out, in}, Random(out * in)}, Random(out)};
  }
  ir::Conv2d Conv(int64_t out, int64_t in) {
    ir::Conv2d conv;
    conv.weight = {{out, in, 1, 1}, Random(out * in)};
    return conv;
  }

  // Lowers the graph with the ranges of what it makes of `images`.
  void Prepare(const std::vector<float>& images, int64_t n) {
    images_ = images;
    n_ = n;
    ASSERT_TRUE(ir::Verify(graph_).ok());
    executor_ = *float_exec::Executor::Create(graph_, 2);
    output_.resize(n * *ir::ElementCount(graph_.values[graph_.output].shape));
    std::vector<quant::Range> ranges(graph_.values.size());
    values_.resize(graph_.values.size());
    const Status status =
        executor_->Run(n, images, output_, [&](ir::ValueId value, std::span<const float> elements) {
          const auto [low, high] = std::minmax_element(elements.begin(), elements.end());
          ranges[value] = {*low, *high};
          values_[value].assign(elements.begin(), elements.end());
        });
    ASSERT_TRUE(status.ok()) << status.ToString();
    auto lowered = lower::Lower(graph_, ranges, {quant::SchemePolicy::kAsymmetric});
    ASSERT_TRUE(lowered.ok()) << lowered.status().ToString();
    lowered_ = *std::move(lowered);
    sensitivity_ = std::make_unique<Sensitivity>(graph_, lowered_);
  }
  void Measure() {
    const Status status = sensitivity_->Add(*executor_, n_, images_, [] { return Status(); });
    ASSERT_TRUE(status.ok()) << status.ToString();
  }

  const TensorSensitivity& Of(std::string_view name) const {
    for (size_t i = 0; i < lowered_.decisions.size(); ++i) {
      if (TensorOf(i).name == name) return sensitivity_->tensors()[i];
    }
    ADD_FAILURE() << "no tensor " << name;
    return sensitivity_->tensors()[0];
  }
  const artifact::Tensor& TensorOf(size_t decision) const {
    return lowered_.model.tensors[lowered_.decisions[decision].tensor];
  }

  // sum (f - q)^2 where the output is a linear layer of `features`, and what it reads is changed.
  double NoiseAfter(const ir::Linear& linear, const std::vector<float>& features,
                    const std::function<double(size_t i, double x)>& change) const {
    const size_t in = linear.weight.shape[1], out = linear.weight.shape[0];
    double noise = 0;
    for (size_t n = 0; n < features.size() / in; ++n) {
      for (size_t o = 0; o < out; ++o) {
        double difference = 0;
        for (size_t i = 0; i < in; ++i) {
          const double x = features[n * in + i];
          difference += linear.weight.data[o * in + i] * (change(n * in + i, x) - x);
        }
        noise += difference * difference;
      }
    }
    return noise;
  }

  std::mt19937 random_{static_cast<uint32_t>(test::Seed())};
  ir::Graph graph_;
  std::vector<float> images_, output_;
  std::vector<std::vector<float>> values_;  // of the FP32 network
  int64_t n_ = 0;
  std::unique_ptr<float_exec::Executor> executor_;
  lower::Lowered lowered_;
  std::unique_ptr<Sensitivity> sensitivity_;
};

TEST_F(SensitivityTest, OneTensorIsQuantizedAtATime) {
  graph_.input = graph_.AddValue("x", {1, 20});
  const ir::Linear last = Linear(7, 30);
  const ir::ValueId hidden = graph_.AddNode("first", Linear(30, 20), {graph_.input}, {1, 30});
  graph_.output = graph_.AddNode("last", last, {hidden}, {1, 7});
  Prepare(Random(50 * 20), 50);
  Measure();
  EXPECT_EQ(sensitivity_->images(), 50);

  const double of_hidden =
      NoiseAfter(last, values_[hidden], [&](size_t, double x) { return Rounded(x, TensorOf(1)); });
  EXPECT_NEAR(Of("first").isolated.noise() / of_hidden, 1, 1e-3);
  double of_output = 0, signal = 0;
  for (const double y : values_[graph_.output]) {
    of_output += std::pow(Rounded(y, TensorOf(2)) - y, 2);
    signal += y * y;
  }
  EXPECT_NEAR(Of("last").isolated.noise() / of_output, 1, 1e-3);
  EXPECT_NEAR(Of("last").isolated.Decibel(), 10 * std::log10(signal / of_output), 0.01);
  EXPECT_GT(Of("x").isolated.noise(), of_hidden / 100);
  const double total = Of("x").isolated.noise() + of_hidden + of_output +
                       Of("first").weights.noise() + Of("last").weights.noise();
  EXPECT_NEAR(sensitivity_->TotalNoise() / total, 1, 1e-3);
}

TEST_F(SensitivityTest, OneLayersWeightsAreQuantizedAtATime) {
  graph_.input = graph_.AddValue("x", {1, 6, 4, 4});
  const ir::ValueId image = graph_.AddNode("conv", Conv(5, 6), {graph_.input}, {1, 5, 4, 4});
  const ir::ValueId flat = graph_.AddNode("flat", ir::Reshape{}, {image}, {1, 80});
  const ir::Linear linear = Linear(3, 80);
  graph_.output = graph_.AddNode("linear", linear, {flat}, {1, 3});
  Prepare(Random(20 * 96), 20);
  Measure();
  EXPECT_EQ(Of("x").sum, -1);
  EXPECT_EQ(Of("x").weights.noise(), 0);
  // The linear layer reads the image as it is stored, so its integers are in another order.
  double noise = 0;
  for (int n = 0; n < 20; ++n) {
    for (int o = 0; o < 3; ++o) {
      double largest = 0, difference = 0;
      for (int i = 0; i < 80; ++i) {
        largest = std::max(largest, std::abs(double(linear.weight.data[o * 80 + i])));
      }
      const double scale = largest / 127;
      for (int i = 0; i < 80; ++i) {
        const double w = linear.weight.data[o * 80 + i];
        difference += values_[flat][n * 80 + i] * (scale * std::nearbyint(w / scale) - w);
      }
      noise += difference * difference;
    }
  }
  EXPECT_NEAR(Of("linear").weights.noise() / noise, 1, 1e-3);
  EXPECT_GT(Of("conv").weights.noise(), 0);
  EXPECT_GT(sensitivity_->TotalNoise(), noise + Of("conv").weights.noise());
}

TEST_F(SensitivityTest, MovedLevelsAreRoundedOnce) {
  graph_.input = graph_.AddValue("x", {1, 3, 4, 4});
  ir::ValueId value = graph_.AddNode("conv", Conv(4, 3), {graph_.input}, {1, 4, 4, 4});
  value = graph_.AddNode("pool", ir::MaxPool2d{{2, 2}, {2, 2}, {1, 1}, {}}, {value}, {1, 4, 2, 2});
  value = graph_.AddNode("slice", ir::Slice{1, 0, 2}, {value}, {1, 2, 2, 2});
  const ir::ValueId flat = graph_.AddNode("flat", ir::Reshape{}, {value}, {1, 8});
  graph_.output = graph_.AddNode("linear", Linear(3, 8), {flat}, {1, 3});
  Prepare(Random(10 * 48), 10);
  Measure();
  EXPECT_TRUE(Of("conv").origin.rounds);
  EXPECT_GT(Of("conv").isolated.noise(), 0);
  for (const char* moved : {"pool", "slice"}) {
    EXPECT_FALSE(Of(moved).origin.rounds) << moved;
    EXPECT_EQ(Of(moved).isolated.noise(), 0) << moved;
    EXPECT_EQ(Of(moved).origin.set, Of("conv").origin.set);
  }
  EXPECT_NE(Of("linear").origin.set, Of("conv").origin.set);
  EXPECT_NE(Of("x").origin.set, Of("conv").origin.set);
}

// b is read by others too and much narrower than a: the concatenation rounds it to a's scale.
TEST_F(SensitivityTest, AConcatenationRoundsWhatItBringsToItsScale) {
  graph_.input = graph_.AddValue("x", {1, 3, 2, 2});
  ir::Conv2d narrow = Conv(2, 3);
  for (float& weight : narrow.weight.data) weight *= 0.05f;
  const ir::ValueId a = graph_.AddNode("a", Conv(4, 3), {graph_.input}, {1, 4, 2, 2});
  const ir::ValueId b = graph_.AddNode("b", narrow, {graph_.input}, {1, 2, 2, 2});
  const ir::ValueId again = graph_.AddNode("again", Conv(4, 2), {b}, {1, 4, 2, 2});
  const ir::ValueId all = graph_.AddNode("all", ir::Concat{1}, {a, b, again}, {1, 10, 2, 2});
  const ir::ValueId flat = graph_.AddNode("flat", ir::Reshape{}, {all}, {1, 40});
  const ir::Linear linear = Linear(5, 40);
  graph_.output = graph_.AddNode("linear", linear, {flat}, {1, 5});
  Prepare(Random(20 * 12), 20);
  Measure();
  const TensorSensitivity& concat = Of("all");
  EXPECT_TRUE(concat.origin.rounds);
  EXPECT_THAT(concat.origin.rounded_inputs, ElementsAre(1));
  EXPECT_EQ(concat.origin.set, Of("a").origin.set);
  EXPECT_EQ(concat.origin.set, Of("again").origin.set);
  EXPECT_NE(concat.origin.set, Of("b").origin.set);
  EXPECT_EQ(concat.values, 20 * 8);
  const auto tensor = std::find_if(lowered_.model.tensors.begin(), lowered_.model.tensors.end(),
                                   [](const auto& t) { return t.name == "all"; });
  const double expected = NoiseAfter(linear, values_[flat], [&](size_t i, double x) {
    const size_t channel = i % 40 / 4;
    return channel == 4 || channel == 5 ? Rounded(x, *tensor) : x;
  });
  EXPECT_NEAR(concat.isolated.noise() / expected, 1, 1e-3);
}

TEST_F(SensitivityTest, TheOutputOfSoftmaxHas16Bits) {
  graph_.input = graph_.AddValue("x", {1, 10});
  graph_.output = graph_.AddNode("softmax", ir::Softmax{1}, {graph_.input}, {1, 10});
  Prepare(Random(30 * 10), 30);
  Measure();
  double noise = 0;
  for (const double y : values_[graph_.output]) {
    noise += std::pow(Rounded(y, TensorOf(1), 65536) - y, 2);
  }
  // 16 bits are nearly as fine as FP32.
  EXPECT_NEAR(Of("softmax").isolated.noise() / noise, 1, 0.05);
  EXPECT_LT(Of("softmax").isolated.noise() * 1000, Of("x").isolated.noise());
}

TEST_F(SensitivityTest, TheSumIsWhatTheIntegerModelLoses) {
  graph_.input = graph_.AddValue("x", {1, 8, 6, 6});
  ir::ValueId value = graph_.AddNode("conv1", Conv(16, 8), {graph_.input}, {1, 16, 6, 6});
  value = graph_.AddNode("relu", ir::Clamp{.low = 0}, {value}, {1, 16, 6, 6});
  const ir::ValueId branch = graph_.AddNode("conv2", Conv(16, 16), {value}, {1, 16, 6, 6});
  value = graph_.AddNode("sum", ir::Add{}, {branch, value}, {1, 16, 6, 6});
  graph_.output = graph_.AddNode("conv3", Conv(4, 16), {value}, {1, 4, 6, 6});
  Prepare(Random(20 * 288), 20);
  Measure();
  const auto loaded = *runtime::LoadedModel::Create(lowered_.model);
  const auto session = *runtime::Session::Create(loaded);
  eval::Sqnr together;
  std::vector<float> integer(4 * 36);
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(session->Run(1, std::span(images_).subspan(i * 288, 288), integer).ok());
    together.Add(std::span(output_).subspan(i * 144, 144), integer);
  }
  EXPECT_NEAR(10 * std::log10(sensitivity_->TotalNoise() / together.noise()), 0, 1);
}

TEST_F(SensitivityTest, CountsWhatLiesBeyondTheEndLevels) {
  graph_.input = graph_.AddValue("x", {1, 4});
  graph_.output = graph_.AddNode("linear", Linear(2, 4), {graph_.input}, {1, 2});
  Prepare({-1, 0, 1.55f, 1}, 1);  // steps of 0.01
  images_ = {-1.003f, -1.007f, 0.5f, 1, -3, -2, 1.553f, 2};
  n_ = 2;
  Measure();
  EXPECT_EQ(Of("x").values, 8);
  EXPECT_EQ(Of("x").below, 3);
  EXPECT_EQ(Of("x").above, 1);
}

TEST_F(SensitivityTest, FindsChannelsThatStayZero) {
  graph_.input = graph_.AddValue("x", {1, 2, 4, 4});
  ir::Conv2d conv = Conv(3, 2);
  conv.bias = {0, -1000, 0};
  conv.weight.data[4] = conv.weight.data[5] = 0;
  ir::ValueId value = graph_.AddNode("conv", conv, {graph_.input}, {1, 3, 4, 4});
  value = graph_.AddNode("relu", ir::Clamp{.low = 0}, {value}, {1, 3, 4, 4});
  graph_.output = graph_.AddNode("last", Conv(2, 3), {value}, {1, 2, 4, 4});
  Prepare(Random(5 * 32), 5);
  Measure();
  EXPECT_THAT(Of("relu").dead, ElementsAre(false, true, true));
  EXPECT_THAT(Of("last").dead, ElementsAre(false, false));
  EXPECT_TRUE(Of("x").dead.empty());
}

TEST_F(SensitivityTest, CallsAddUp) {
  graph_.input = graph_.AddValue("x", {1, 20});
  graph_.output = graph_.AddNode("linear", Linear(7, 20), {graph_.input}, {1, 7});
  Prepare(Random(40 * 20), 40);
  Measure();
  Sensitivity parts(graph_, lowered_);
  const auto half = std::span<const float>(images_).first(400);
  const auto between = [] { return Status(); };
  ASSERT_TRUE(parts.Add(*executor_, 20, half, between).ok());
  ASSERT_TRUE(
      parts.Add(*executor_, 20, std::span<const float>(images_).subspan(400), between).ok());
  EXPECT_EQ(parts.images(), 40);
  EXPECT_NEAR(parts.TotalNoise() / sensitivity_->TotalNoise(), 1, 1e-6);
}

TEST_F(SensitivityTest, ErrorsBetweenRerunsEndTheWork) {
  graph_.input = graph_.AddValue("x", {1, 4});
  graph_.output = graph_.AddNode("linear", Linear(2, 4), {graph_.input}, {1, 2});
  Prepare(Random(8), 2);
  const Status status =
      sensitivity_->Add(*executor_, n_, images_, [] { return Cancelled("enough"); });
  EXPECT_EQ(status.code(), StatusCode::kCancelled);
  EXPECT_EQ(sensitivity_->images(), 0);
}

TEST_F(SensitivityTest, LargeNetworksAreMeasuredOnFewerImages) {
  const auto images = [&](int64_t channels, int64_t side) {
    graph_ = {};
    ir::ValueId value = graph_.input = graph_.AddValue("x", {1, channels, side, side});
    for (int i = 0; i < 10; ++i) {
      value = graph_.AddNode("conv" + std::to_string(i), Conv(channels, channels), {value},
                             {1, channels, side, side});
    }
    graph_.output = value;
    std::vector<quant::Range> ranges(graph_.values.size(), {-1, 1});
    return SensitivityImages(graph_, *lower::Lower(graph_, ranges, {}));
  };
  EXPECT_EQ(images(4, 4), 64);
  const int64_t medium = images(256, 64), large = images(512, 512);
  EXPECT_GT(medium, 8);
  EXPECT_LT(medium, 64);
  EXPECT_EQ(large, 8);
}

}  // namespace
}  // namespace haq::pipeline
