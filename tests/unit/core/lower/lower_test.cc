// Small networks through calibration, lowering and the integer runtime, against their FP32
// execution.
#include <gtest/gtest.h>

#include "tests/unit/core/lower/net.h"

namespace haq::lower {
namespace {

struct Case {
  std::string name;
  ir::Shape input;
  std::function<ir::ValueId(Net&)> build;
  double least_db = 30;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class EveryOperator : public testing::TestWithParam<Case> {};

TEST_P(EveryOperator, TheIntegerNetworkFollowsTheFp32One) {
  for (const auto scheme : {quant::SchemePolicy::kHybrid, quant::SchemePolicy::kAsymmetric,
                            quant::SchemePolicy::kSymmetric}) {
    Net net(GetParam().input);
    net.graph.output = GetParam().build(net);
    const auto outcome = RunBoth(net, {.scheme = scheme});
    ASSERT_TRUE(outcome.ok()) << outcome.status().ToString();
    // Symmetric spends half of its levels on what a one-sided tensor never takes: 6 dB.
    const double allowance = scheme == quant::SchemePolicy::kSymmetric ? 7 : 0;
    EXPECT_GT(outcome->sqnr_db, GetParam().least_db - allowance);
  }
}

// The broadcast operands of squeeze-and-excitation and its kin.
ir::ValueId Pooled(Net& n, ir::ValueId x) {
  const ir::Shape shape = n.graph.values[x].shape;
  return n.Add(ir::AvgPool2d{{0}, {shape[2]}, {0}, {shape[3]}}, {x});
}

const Case kCases[] = {
    {"conv",
     {1, 3, 9, 9},
     [](Net& n) {
       return n.Conv(n.graph.input, 8, 3, 1, 1, {1, 1, 1, 1});
     }},
    {"conv_stride_uneven_padding",
     {1, 4, 11, 8},
     [](Net& n) {
       return n.Conv(n.graph.input, 8, 3, 2, 1, {0, 0, 1, 1});
     }},
    {"conv_dilation",
     {1, 4, 11, 11},
     [](Net& n) {
       return n.Conv(n.graph.input, 6, 3, 1, 1, {2, 2, 2, 2}, 2);
     }},
    {"depthwise_relu",
     {1, 8, 9, 9},
     [](Net& n) {
       return n.Relu(n.Conv(n.graph.input, 8, 3, 1, 8, {1, 1, 1, 1}));
     }},
    {"grouped",
     {1, 8, 9, 9},
     [](Net& n) {
       return n.Conv(n.graph.input, 12, 3, 1, 4, {1, 1, 1, 1});
     }},
    {"relu6_then_conv",
     {1, 3, 8, 8},
     [](Net& n) {
       return n.Conv(n.Add(ir::Clamp{0, 6}, {n.Conv(n.graph.input, 8, 3)}), 8, 1);
     }},
    {"clamp_read_twice_stays_apart",
     {1, 4, 6, 6},
     [](Net& n) {
       const auto x = n.Conv(n.graph.input, 8, 1);
       return n.Add(ir::Add{}, {x, n.Relu(x)});
     }},
    {"flatten_linear",
     {1, 3, 5, 4},
     [](Net& n) {
       return n.Linear(n.Add(ir::Reshape{}, {n.Conv(n.graph.input, 6, 2)}, {1, 72}), 10);
     }},
    {"flatten_read_twice",
     {1, 3, 5, 4},
     [](Net& n) {
       const auto flat = n.Add(ir::Reshape{}, {n.Conv(n.graph.input, 6, 2)}, {1, 72});
       return n.Add(ir::Add{}, {n.Linear(flat, 72), flat});
     }},
    {"pool_flatten_linear",
     {1, 3, 6, 6},
     [](Net& n) {
       return n.Linear(
           n.Add(ir::Reshape{}, {Pooled(n, n.Relu(n.Conv(n.graph.input, 16, 3)))}, {1, 16}), 10);
     }},
    {"channel_shuffle",
     {1, 6, 5, 4},
     [](Net& n) {
       auto x = n.Add(ir::Reshape{}, {n.Conv(n.graph.input, 6, 1)}, {1, 2, 3, 5, 4});
       x = n.Add(ir::Permute{{0, 2, 1, 3, 4}}, {x});
       return n.Conv(n.Add(ir::Reshape{}, {x}, {1, 6, 5, 4}), 4, 1, 1, 2);
     }},
    {"permute_image",
     {1, 3, 5, 4},
     [](Net& n) {
       return n.Conv(n.Add(ir::Permute{{0, 3, 1, 2}}, {n.graph.input}), 6, 3);
     }},
    {"add_relu",
     {1, 4, 6, 6},
     [](Net& n) {
       const auto x = n.graph.input;
       return n.Relu(n.Add(ir::Add{}, {n.Conv(x, 8, 1), n.Conv(x, 8, 1)}));
     }},
    {"add_broadcast_left",
     {1, 4, 6, 6},
     [](Net& n) {
       const auto x = n.Conv(n.graph.input, 8, 1);
       return n.Add(ir::Add{}, {Pooled(n, x), x});
     }},
    {"squeeze_excite",
     {1, 4, 6, 6},
     [](Net& n) {
       const auto x = n.Relu(n.Conv(n.graph.input, 8, 3));
       return n.Add(ir::Mul{}, {n.Add(ir::Sigmoid{}, {n.Conv(Pooled(n, x), 8, 1)}), x});
     }},
    {"mul",
     {1, 4, 6, 6},
     [](Net& n) {
       return n.Add(ir::Mul{}, {n.Conv(n.graph.input, 8, 1), n.Conv(n.graph.input, 8, 1)});
     }},
    {"affine_before_padded_conv",
     {1, 4, 6, 6},
     [](Net& n) {
       const ir::ChannelAffine affine{{1, -2, 0.5f, 3}, {0.1f, 1, -2, 0}};
       return n.Conv(n.Relu(n.Add(affine, {n.graph.input})), 8, 3, 1, 1, {1, 1, 1, 1});
     }},
    {"affine_of_vector",
     {1, 6},
     [](Net& n) {
       return n.Linear(
           n.Add(ir::ChannelAffine{{1, -2, 0.5f, 3, 1, 1}, {0, 1, 2, 3, 4, 5}}, {n.graph.input}),
           4);
     }},
    {"concat_of_unequal_ranges",
     {1, 4, 6, 6},
     [](Net& n) {
       const auto x = n.Relu(n.Conv(n.graph.input, 8, 1));
       const auto y =
           n.Add(ir::ChannelAffine{std::vector<float>(8, 20), std::vector<float>(8, 0)}, {x});
       return n.Conv(n.Add(ir::Concat{1}, {x, y}), 8, 1);
     }},
    {"max_pool_concat",
     {1, 4, 7, 7},
     [](Net& n) {
       const auto x = n.Relu(n.Conv(n.graph.input, 8, 3, 2, 1, {1, 1, 1, 1}));
       ir::MaxPool2d pool{{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}};
       return n.Add(ir::Concat{1}, {n.Add(pool, {x}), n.Relu(n.Conv(x, 5, 1))});
     }},
    {"average_windows_of_unequal_size",
     {1, 4, 7, 5},
     [](Net& n) {
       return n.Add(ir::AvgPool2d{{0, 1, 4}, {2, 4, 7}, {0, 2}, {3, 5}},
                    {n.Conv(n.graph.input, 8, 1)});
     }},
    {"average_with_divisor",
     {1, 4, 4, 4},
     [](Net& n) {
       return n.Add(ir::AvgPool2d{{0, 1}, {1, 4}, {0, 1}, {1, 4}, 9}, {n.graph.input});
     },
     24},
    {"pad_and_slice",
     {1, 4, 6, 6},
     [](Net& n) {
       const auto x = n.Conv(n.graph.input, 4, 1);
       auto y = n.Add(ir::Slice{2, 0, 2}, {x}, {1, 4, 3, 6});
       y = n.Add(ir::Slice{3, 1, 2}, {y}, {1, 4, 3, 3});
       return n.Conv(n.Add(ir::Pad{{0, 2, 1, 0}, {0, 3, 0, 1}, 0.5f}, {y}), 5, 1);
     }},
    {"leaky_relu",
     {1, 4, 6, 6},
     [](Net& n) { return n.Add(ir::LeakyRelu{0.1f}, {n.Conv(n.graph.input, 8, 3)}); }},
    {"silu", {1, 4, 6, 6}, [](Net& n) { return n.Add(ir::Silu{}, {n.Conv(n.graph.input, 8, 3)}); }},
    {"hard_swish",
     {1, 4, 6, 6},
     [](Net& n) { return n.Add(ir::HardSwish{}, {n.Conv(n.graph.input, 8, 3)}); }},
    {"hard_sigmoid",
     {1, 4, 6, 6},
     [](Net& n) { return n.Add(ir::HardSigmoid{}, {n.Conv(n.graph.input, 8, 3)}); }},
    {"sigmoid",
     {1, 4, 6, 6},
     [](Net& n) { return n.Add(ir::Sigmoid{}, {n.Conv(n.graph.input, 8, 3)}); }},
    {"tanh", {1, 4, 6, 6}, [](Net& n) { return n.Add(ir::Tanh{}, {n.Conv(n.graph.input, 8, 3)}); }},
    {"softmax",
     {1, 20},
     [](Net& n) { return n.Add(ir::Softmax{1}, {n.Linear(n.graph.input, 10)}); }},
    {"pass_through_only",
     {1, 3, 4, 4},
     [](Net& n) {
       return n.Add(ir::Slice{1, 1, 1}, {n.graph.input}, {1, 2, 4, 4});
     }},
};
INSTANTIATE_TEST_SUITE_P(Cases, EveryOperator, testing::ValuesIn(kCases),
                         [](const auto& info) { return info.param.name; });

TEST(Lower, HybridChoosesPerTensor) {
  Net net({1, 3, 8, 8});
  const auto relu = net.Relu(net.Conv(net.graph.input, 8, 3));
  const auto sum = net.Conv(relu, 64, 1);
  net.graph.output = sum;
  const auto outcome = RunBoth(net);
  ASSERT_TRUE(outcome.ok()) << outcome.status().ToString();
  EXPECT_EQ(DecisionOf(*outcome, relu).params.scheme, quant::TensorScheme::kOneSided);
  EXPECT_EQ(DecisionOf(*outcome, relu).params.zero_point, 0);
  EXPECT_EQ(outcome->lowered.model.layers.size(), 2u) << "the ReLU is the convolution's clamp";
}

TEST(Lower, ConcatSharesWhatOnlyItReadsAndRequantizesTheRest) {
  Net net({1, 4, 6, 6});
  const auto narrow = net.Relu(net.Conv(net.graph.input, 8, 1));
  const auto alone = net.Relu(net.Conv(narrow, 8, 1));
  const auto wide =
      net.Add(ir::ChannelAffine{std::vector<float>(8, 50), std::vector<float>(8, 0)}, {narrow});
  const auto concat = net.Add(ir::Concat{1}, {alone, narrow, wide});
  net.graph.output = concat;
  const auto outcome = RunBoth(net);
  ASSERT_TRUE(outcome.ok()) << outcome.status().ToString();
  EXPECT_EQ(DecisionOf(*outcome, alone).params.scale, DecisionOf(*outcome, concat).params.scale);
  EXPECT_LT(DecisionOf(*outcome, narrow).params.scale,
            DecisionOf(*outcome, concat).params.scale / 10);
  EXPECT_EQ(CountLayers(*outcome, "table"), 1);
}

TEST(Lower, PerTensorWeightsAreCoarser) {
  Net net({1, 4, 6, 6});
  const auto x = net.Conv(net.graph.input, 8, 1);
  auto& conv = std::get<ir::Conv2d>(net.graph.nodes[0].op);
  for (int i = 0; i < 4; ++i) conv.weight.data[i] *= 300;  // one channel outweighs the others
  net.graph.output = net.Conv(net.Add(ir::Clamp{-2, 2}, {x}), 8, 1);
  const auto fine = RunBoth(net),
             coarse = RunBoth(net, {.weights = quant::WeightGranularity::kPerTensor});
  ASSERT_TRUE(fine.ok() && coarse.ok());
  EXPECT_GT(fine->sqnr_db, coarse->sqnr_db + 6);
}

TEST(Lower, ChosenWeightsReplaceTheNearestOnes) {
  Net net({1, 3, 8, 8});
  const ir::ValueId conv = net.Conv(net.graph.input, 4, 3);
  const ir::ValueId flat = net.Add(ir::Reshape{}, {net.Relu(conv)}, {1, 4 * 6 * 6});
  net.graph.output = net.Linear(flat, 5);
  const std::vector<quant::Range> ranges(net.graph.values.size(), {-4, 4});
  const auto nearest = *Lower(net.graph, ranges, {});
  ASSERT_EQ(nearest.sums.size(), 2u);
  EXPECT_EQ(nearest.sums[0].node, 0);
  const auto weight_of = [](const Lowered& lowered, size_t i) {
    const artifact::Op& op = lowered.model.layers[lowered.sums[i].layer].op;
    const auto blob =
        i == 0 ? std::get<artifact::Conv2d>(op).weight : std::get<artifact::Linear>(op).weight;
    return std::vector<int8_t>(blob.begin(), blob.end());
  };
  EXPECT_EQ(nearest.sums[0].weights.values, weight_of(nearest, 0));
  EXPECT_EQ(nearest.sums[1].weights.values, weight_of(nearest, 1));

  Options options;
  options.chosen_weights = {nearest.sums[1]};
  EXPECT_EQ(weight_of(*Lower(net.graph, ranges, options), 1), weight_of(nearest, 1));
  std::vector<int8_t>& values = options.chosen_weights[0].weights.values;
  values[7] = static_cast<int8_t>(values[7] > 0 ? values[7] - 1 : values[7] + 1);
  const auto changed = *Lower(net.graph, ranges, options);
  EXPECT_EQ(weight_of(changed, 0), weight_of(nearest, 0));
  EXPECT_EQ(weight_of(changed, 1), values);
  EXPECT_EQ(changed.sums[1].weights.scales, nearest.sums[1].weights.scales);

  values.pop_back();
  const Status status = Lower(net.graph, ranges, options).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("layer \"node3\" (linear)"), std::string::npos)
      << status.ToString();
}

TEST(Lower, DegenerateLayersStayFinite) {
  Net net({1, 3, 4, 4});
  auto x = net.Conv(net.graph.input, 4, 1);
  auto& conv = std::get<ir::Conv2d>(net.graph.nodes[0].op);
  for (int i = 0; i < 3; ++i) conv.weight.data[i] = 0;       // dead, with a bias
  for (int i = 3; i < 6; ++i) conv.weight.data[i] = 1e-20f;  // next to dead
  conv.bias = {5, 0, -1e-20f, 0};
  x = net.Relu(x);
  // Everything but a sliver is cut off: the output's range is a fraction of a step of its input.
  auto y = net.Conv(x, 4, 1);
  std::get<ir::Conv2d>(net.graph.nodes[2].op).bias = {-1000, -1000, -1000, -1000};
  net.graph.output = net.Conv(net.Relu(y), 4, 1);
  const auto outcome = RunBoth(net);
  ASSERT_TRUE(outcome.ok()) << outcome.status().ToString();
  EXPECT_GT(outcome->sqnr_db, 30);
}

TEST(Lower, TinyWeightsBesideALargeBias) {
  for (const float weight : {1e-3f, 1e-5f, 1e-7f, 1e-9f, 1e-12f}) {
    Net net({1, 64, 4, 4});
    const auto x = net.Conv(net.graph.input, 4, 1);
    auto& conv = std::get<ir::Conv2d>(net.graph.nodes[0].op);
    std::fill(conv.weight.data.begin(), conv.weight.data.begin() + 64, weight);
    conv.bias = {100, 0, -3, 0};
    net.graph.output = x;
    const auto outcome = RunBoth(net);
    ASSERT_TRUE(outcome.ok()) << weight << ": " << outcome.status().ToString();
    EXPECT_GT(outcome->sqnr_db, 30) << weight;
  }
}

TEST(Lower, ErrorsNameTheTensorAndTheLayer) {
  Net net({1, 10});
  const auto soft = net.Add(ir::Softmax{1}, {net.graph.input});
  net.graph.output = net.Linear(soft, 4);
  const auto outcome = RunBoth(net);
  EXPECT_EQ(outcome.status().code(), StatusCode::kUnsupported);
  EXPECT_NE(outcome.status().message().find("layer \"node0\" (softmax)"), std::string::npos)
      << outcome.status().ToString();

  Net bad({1, 3, 4, 4});
  bad.graph.output = bad.Conv(bad.graph.input, 4, 1);
  const Status status =
      Lower(bad.graph, {{-1, 1}, {0, std::numeric_limits<double>::infinity()}}, {}).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find(bad.graph.values[bad.graph.output].name), std::string::npos);
}

}  // namespace
}  // namespace haq::lower
