// Values that are kept at 16 bits: which layers become wide, what is refused, what it is worth.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/core/lower/net.h"

namespace haq::lower {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Options Wide(std::vector<ir::ValueId> values) {
  Options options;
  options.wide = std::move(values);
  return options;
}

std::vector<std::string> Layers(const Outcome& outcome) {
  std::vector<std::string> layers;
  for (const artifact::Layer& layer : outcome.lowered.model.layers) {
    layers.emplace_back(artifact::OpName(layer.op));
  }
  return layers;
}

int CountWide(const Outcome& outcome) {
  int count = 0;
  for (const artifact::Tensor& tensor : outcome.lowered.model.tensors) {
    count += tensor.type == artifact::DataType::kUint16;
  }
  return count;
}

Outcome RunNet(const Net& net, const Options& options, double least_db = 33) {
  auto outcome = RunBoth(net, options);
  EXPECT_TRUE(outcome.ok()) << outcome.status().ToString();
  if (!outcome.ok()) return {};
  EXPECT_GT(outcome->sqnr_db, least_db);
  return *std::move(outcome);
}

TEST(Wide, BothNeighboursOfTheTensorAreWide) {
  Net net({1, 4, 8, 8});
  const auto x = net.Relu(net.Conv(net.graph.input, 8, 3));
  net.graph.output = net.Conv(net.Relu(net.Conv(x, 8, 3, 1, 8)), 4, 1);
  const Outcome outcome = RunNet(net, Wide({x}));
  EXPECT_THAT(Layers(outcome), ElementsAre("wide_conv2d", "wide_conv2d", "conv2d"));
  EXPECT_EQ(CountWide(outcome), 1);
  const TensorDecision& decision = DecisionOf(outcome, x);
  EXPECT_EQ(decision.params.bits, 16);
  EXPECT_EQ(decision.params.zero_point, 0);
  EXPECT_EQ(outcome.lowered.model.tensors[decision.tensor].type, artifact::DataType::kUint16);
}

TEST(Wide, SymmetricTensorsAreCentredOn32768) {
  Net net({1, 4, 8, 8});
  const auto x = net.Conv(net.graph.input, 8, 3);
  net.graph.output = net.Conv(x, 4, 1);
  Options options = Wide({x});
  options.scheme = quant::SchemePolicy::kSymmetric;
  EXPECT_EQ(DecisionOf(RunNet(net, options, 25), x).params.zero_point, 32768);
}

// With every activation at 16 bits the weights alone are left: more than the 8-bit network has.
TEST(Wide, ManyWideTensorsLeaveTheNoiseOfTheWeights) {
  Net net({1, 4, 8, 8});
  std::vector<ir::ValueId> all = {net.graph.input};
  auto x = net.graph.input;
  for (int i = 0; i < 5; ++i) {
    auto y = net.Relu(net.Conv(x, 8, 3, 1, 1, {1, 1, 1, 1}));
    all.push_back(y);
    if (i > 0) all.push_back(y = net.Add(ir::Add{}, {y, x}));
    x = y;
  }
  net.graph.output = net.Linear(net.Add(ir::Reshape{}, {x}, {1, 512}), 10);
  all.push_back(net.graph.output);
  const auto narrow = RunBoth(net);
  ASSERT_TRUE(narrow.ok()) << narrow.status().ToString();
  // Weights of 1/127: nothing is left to round in them.
  for (ir::Node& node : net.graph.nodes) {
    auto* conv = std::get_if<ir::Conv2d>(&node.op);
    auto* linear = std::get_if<ir::Linear>(&node.op);
    auto* weight = conv != nullptr     ? &conv->weight.data
                   : linear != nullptr ? &linear->weight.data
                                       : nullptr;
    if (weight == nullptr) continue;
    for (float& w : *weight) w = std::clamp(std::round(w * 127), -127.0f, 127.0f) / 127;
    const auto per_channel = static_cast<int64_t>(weight->size()) / (conv != nullptr ? 8 : 10);
    for (size_t i = 0; i < weight->size(); i += per_channel) (*weight)[i] = 1;
  }
  const auto exact_weights = RunBoth(net);
  const auto wide = RunBoth(net, Wide(all));
  ASSERT_TRUE(exact_weights.ok() && wide.ok()) << wide.status().ToString();
  EXPECT_LT(exact_weights->sqnr_db, 50);
  EXPECT_GT(wide->sqnr_db, 75);
}

struct Case {
  std::string name;
  ir::Shape input;
  // Returns the wide value; sets the output.
  std::function<ir::ValueId(Net&)> build;
  std::vector<std::string> layers;
  double least_db = 33;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class WideOperator : public testing::TestWithParam<Case> {};

TEST_P(WideOperator, TheIntegerNetworkFollowsTheFp32One) {
  for (const auto scheme : {quant::SchemePolicy::kHybrid, quant::SchemePolicy::kAsymmetric}) {
    Net net(GetParam().input);
    Options options = Wide({GetParam().build(net)});
    options.scheme = scheme;
    const Outcome outcome = RunNet(net, options, GetParam().least_db);
    EXPECT_EQ(Layers(outcome), GetParam().layers);
    EXPECT_GT(CountWide(outcome), 0);
  }
}

const Case kCases[] = {
    {"network_input",
     {1, 3, 6, 6},
     [](Net& n) {
       n.graph.output = n.Conv(n.graph.input, 8, 3);
       return n.graph.input;
     },
     {"wide_conv2d"}},
    {"network_output",
     {1, 3, 6, 6},
     [](Net& n) {
       return n.graph.output = n.Relu(n.Conv(n.graph.input, 8, 3, 2, 1, {1, 1, 1, 1}));
     },
     {"wide_conv2d"}},
    {"fused_sum",
     {1, 8, 6, 6},
     [](Net& n) {
       return n.graph.output = n.Add(ir::Add{}, {n.Conv(n.graph.input, 8, 1), n.graph.input});
     },
     {"wide_conv2d"}},
    {"wide_residual",
     {1, 8, 6, 6},
     [](Net& n) {
       const auto x = n.Relu(n.Conv(n.graph.input, 8, 1));
       n.graph.output = n.Relu(n.Add(ir::Add{}, {n.Conv(x, 8, 1), x}));
       return x;
     },
     {"wide_conv2d", "wide_conv2d"}},
    {"sum_of_its_own",
     {1, 8, 6, 6},
     [](Net& n) {
       const auto x = n.Relu(n.Conv(n.graph.input, 8, 1));
       n.graph.output = n.Add(ir::Add{}, {x, n.Relu(n.Conv(n.graph.input, 8, 1))});
       return x;
     },
     {"wide_conv2d", "conv2d", "wide_add"}},
    {"sum_broadcast_first",
     {1, 8, 6, 6},
     [](Net& n) {
       const auto x = n.graph.input;
       const auto pooled = n.Add(ir::AvgPool2d{{0}, {6}, {0}, {6}}, {x});
       return n.graph.output = n.Add(ir::Add{}, {pooled, x});
     },
     {"avg_pool2d", "wide_add"}},
    {"linear",
     {1, 20},
     [](Net& n) {
       const auto x = n.Relu(n.Linear(n.graph.input, 16));
       n.graph.output = n.Linear(x, 10);
       return x;
     },
     {"wide_linear", "wide_linear"}},
    {"flattened_image",
     {1, 3, 5, 4},
     [](Net& n) {
       const auto x = n.Conv(n.graph.input, 6, 2);
       n.graph.output = n.Linear(n.Add(ir::Reshape{}, {x}, {1, 72}), 10);
       return x;
     },
     {"wide_conv2d", "wide_linear"}},
    {"average",
     {1, 8, 6, 6},
     [](Net& n) {
       const auto x = n.Relu(n.Conv(n.graph.input, 8, 1));
       n.graph.output = n.Add(ir::AvgPool2d{{0, 1, 3}, {2, 4, 6}, {0, 2}, {3, 6}}, {x});
       return x;
     },
     {"wide_conv2d", "wide_avg_pool2d"}},
    {"affine_of_vector",
     {1, 6},
     [](Net& n) {
       const ir::ChannelAffine affine{{1, -2, 0.5f, 3, 1, 1}, {0, 1, 2, 3, 4, 5}};
       const auto x = n.Add(affine, {n.graph.input});
       n.graph.output = n.Linear(x, 4);
       return x;
     },
     {"reshape", "wide_conv2d", "reshape", "wide_linear"}},
    {"max_pool_shares_its_width",
     {1, 4, 7, 7},
     [](Net& n) {
       const auto x = n.Relu(n.Conv(n.graph.input, 8, 1));
       const ir::MaxPool2d pool{{3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}};
       n.graph.output = n.Conv(n.Add(pool, {x}), 4, 1);
       return x;
     },
     {"wide_conv2d", "max_pool2d", "wide_conv2d"}},
    {"pad_and_slice",
     {1, 4, 6, 6},
     [](Net& n) {
       const auto x = n.Conv(n.graph.input, 4, 1);
       const auto y = n.Add(ir::Slice{2, 0, 2}, {x}, {1, 4, 3, 6});
       n.graph.output = n.Add(ir::Pad{{0, 2, 1, 0}, {0, 3, 0, 1}, 0.5f}, {y});
       return x;
     },
     {"wide_conv2d", "slice", "pad"}},
    {"permuted",
     {1, 6, 5, 4},
     [](Net& n) {
       const auto x = n.Conv(n.graph.input, 6, 1);
       n.graph.output = n.Add(ir::Permute{{0, 3, 1, 2}}, {x});
       return x;
     },
     {"wide_conv2d", "transpose"}},
    {"shuffled",
     {1, 6, 5, 4},
     [](Net& n) {
       const auto x = n.Conv(n.graph.input, 6, 1);
       auto y = n.Add(ir::Reshape{}, {x}, {1, 2, 3, 5, 4});
       y = n.Add(ir::Permute{{0, 2, 1, 3, 4}}, {y});
       n.graph.output = n.Add(ir::Reshape{}, {y}, {1, 6, 5, 4});
       return x;
     },
     {"wide_conv2d", "transpose", "reshape", "transpose", "reshape", "transpose"}},
    // What the concatenation alone reads shares its width; what others read too is widened.
    {"concatenation",
     {1, 4, 6, 6},
     [](Net& n) {
       const auto narrow = n.Relu(n.Conv(n.graph.input, 8, 1));
       const auto alone = n.Relu(n.Conv(narrow, 8, 1));
       const auto scaled =
           n.Add(ir::ChannelAffine{std::vector<float>(8, 50), std::vector<float>(8, 0)}, {narrow});
       return n.graph.output = n.Add(ir::Concat{1}, {alone, narrow, scaled});
     },
     {"conv2d", "wide_conv2d", "wide_conv2d", "wide_add", "concat"}},
    {"clamp_read_twice",
     {1, 4, 6, 6},
     [](Net& n) {
       const auto x = n.Conv(n.graph.input, 8, 1);
       n.graph.output = n.Add(ir::Add{}, {n.Add(ir::Clamp{-0.5f, 0.7f}, {x}), x});
       return x;
     },
     {"wide_conv2d", "wide_add", "wide_add"}},
};
INSTANTIATE_TEST_SUITE_P(Cases, WideOperator, testing::ValuesIn(kCases),
                         [](const auto& info) { return info.param.name; });

void ExpectRefused(const Net& net, std::vector<ir::ValueId> wide, const std::string& message) {
  const Status status = RunBoth(net, Wide(std::move(wide))).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status.ToString();
  EXPECT_THAT(status.message(), HasSubstr(message));
}

TEST(Wide, RefusesWhatHasNoWideForm) {
  Net net({1, 4, 6, 6});
  const auto x = net.Conv(net.graph.input, 8, 1);
  const auto y = net.Add(ir::Silu{}, {x});
  const auto pooled = net.Add(ir::MaxPool2d{{2, 2}, {2, 2}, {1, 1}, {}}, {y});
  const auto z = net.Add(ir::Mul{}, {net.Conv(pooled, 8, 1), pooled});
  net.graph.output = z;
  const auto name = [&](ir::ValueId value) { return "\"" + net.graph.values[value].name + "\""; };
  ExpectRefused(net, {x},
                "tensor " + name(x) + " cannot have 16 bits: layer \"node1\" (silu) reads it");
  ExpectRefused(net, {y}, "layer \"node1\" (silu) makes it");
  ExpectRefused(net, {pooled},
                "layer \"node1\" (silu) makes " + name(y) + ", which shares its levels");
  ExpectRefused(net, {z},
                "(mul) makes it; what makes and reads such tensors must be a convolution");
  ExpectRefused(net, {net.graph.input, x}, "(silu) reads it");
  ExpectRefused(net, {99}, "value 99 of");
  ExpectRefused(net, {-1}, "value -1 of");
}

TEST(Wide, RefusesSoftmaxInputs) {
  Net net({1, 20});
  const auto x = net.Linear(net.graph.input, 10);
  net.graph.output = net.Add(ir::Softmax{1}, {x});
  ExpectRefused(net, {x}, "(softmax) reads it");
}

TEST(Wide, RefusesWhatIsNotStored) {
  Net net({1, 8, 6, 6});
  const auto x = net.Conv(net.graph.input, 8, 1);
  const auto relu = net.Relu(x);
  const auto y = net.Conv(relu, 8, 1);
  net.graph.output = net.Add(ir::Add{}, {y, relu});
  ExpectRefused(net, {x},
                "it is not stored, \"" + net.graph.values[relu].name + "\" is made of it");
  ExpectRefused(net, {y}, "it is not stored");
}

TEST(Wide, CandidatesAreWhatLoweringAccepts) {
  Net net({1, 4, 6, 6});
  const auto conv = net.Conv(net.graph.input, 8, 1);
  const auto x = net.Relu(conv);
  const auto gate = net.Add(ir::Sigmoid{}, {net.Conv(x, 8, 1)});
  const auto sum = net.Add(ir::Add{}, {net.Conv(x, 8, 1), gate});
  net.graph.output = net.Conv(sum, 4, 1);
  const std::vector<quant::Range> ranges(net.graph.values.size(), {-1, 1});
  const auto candidates = WideCandidates(net.graph, ranges, {});
  ASSERT_TRUE(candidates.ok()) << candidates.status().ToString();
  int allowed = 0;
  for (size_t value = 0; value < net.graph.values.size(); ++value) {
    const auto lowered = Lower(net.graph, ranges, Wide({static_cast<ir::ValueId>(value)}));
    EXPECT_EQ(lowered.ok(), (*candidates)[value]) << value << lowered.status().ToString();
    allowed += (*candidates)[value];
  }
  EXPECT_EQ(allowed, 4) << "the input, the ReLU, the sum, and the output";
  EXPECT_EQ(WideCandidates(net.graph, {}, {}).status().code(), StatusCode::kInvalidArgument);
}

class WideOutput : public testing::Test {
 protected:
  WideOutput() { options_.wide_output = true; }
  // Whether the network's output has 16 bits.
  bool IsWide(const Net& net) {
    const Outcome outcome = RunNet(net, options_, 25);
    return outcome.lowered.model.tensors[outcome.lowered.model.output].type ==
           artifact::DataType::kUint16;
  }
  Options options_;
};

TEST_F(WideOutput, OfASmallLastLayer) {
  Net net({1, 4, 8, 8});
  auto x = net.Relu(net.Conv(net.graph.input, 8, 3));
  x = net.Add(ir::Reshape{}, {net.Add(ir::AvgPool2d{{0}, {6}, {0}, {6}}, {x})}, {1, 8});
  net.graph.output = net.Relu(net.Linear(x, 10));
  const Outcome outcome = RunNet(net, options_);
  EXPECT_THAT(Layers(outcome), ElementsAre("conv2d", "avg_pool2d", "wide_linear"));
  EXPECT_EQ(CountWide(outcome), 1);
  EXPECT_FALSE(IsWide(net) && CountWide(RunNet(net, {})) > 0) << "8 bits unless asked for";
}

TEST_F(WideOutput, WhatOnlyMovesItComesWithIt) {
  Net net({1, 4, 6, 6});
  const auto x = net.Conv(net.graph.input, 4, 3);
  net.graph.output = net.Add(ir::Reshape{}, {x}, {1, 64});
  EXPECT_TRUE(IsWide(net));
}

TEST_F(WideOutput, NotWhereAnotherLayerReadsIt) {
  Net net({1, 4, 6, 6});
  const auto x = net.Conv(net.graph.input, 4, 3);
  // Its range is so much smaller that the concatenation has that of x.
  const auto y = net.Add(ir::Clamp{-0.1f, 0.1f}, {net.Conv(x, 4, 1)});
  net.graph.output = net.Add(ir::Concat{1}, {x, y});
  EXPECT_FALSE(IsWide(net));
}

TEST_F(WideOutput, NotWhatHasNoWideForm) {
  Net net({1, 4, 6, 6});
  net.graph.output = net.Add(ir::Sigmoid{}, {net.Conv(net.graph.input, 4, 3)});
  EXPECT_FALSE(IsWide(net));
}

TEST_F(WideOutput, NotTheInputMovedAbout) {
  Net net({1, 4, 6, 6});
  net.graph.output = net.Add(ir::Reshape{}, {net.graph.input}, {1, 144});
  EXPECT_FALSE(IsWide(net));
}

// The last convolution is nearly all of the network.
TEST_F(WideOutput, NotOfALargeLastLayer) {
  Net net({1, 16, 40, 40});
  const auto x = net.Conv(net.graph.input, 16, 1);
  net.graph.output = net.Conv(x, 16, 3);
  EXPECT_FALSE(IsWide(net));
}

// At 16 bits a value has a range of its own, and so has all that shares its levels.
TEST(Wide, RangesAtSixteenBits) {
  Net net({1, 4, 6, 6});
  const auto x = net.Conv(net.graph.input, 4, 1);
  const auto y = net.Add(ir::Slice{2, 0, 2}, {x}, {1, 4, 3, 6});
  net.graph.output = net.Conv(y, 4, 1);
  Options options = Wide({x});
  options.wide_ranges = {{0, 0.5}, {0, 10}, {-20, 5}, {0, 0.5}};
  const auto lowered = Lower(net.graph, {{0, 1}, {0, 1}, {0, 1}, {0, 1}}, options);
  ASSERT_TRUE(lowered.ok()) << lowered.status().ToString();
  EXPECT_NEAR(lowered->decisions[0].params.range.high, 1, 1e-4);
  for (const int at : {1, 2}) {
    EXPECT_NEAR(lowered->decisions[at].params.range.low, -20, 1e-3);
    EXPECT_NEAR(lowered->decisions[at].params.range.high, 10, 1e-3);
  }
  EXPECT_NEAR(lowered->decisions[3].params.range.high, 1, 1e-4);
  options.wide_ranges.pop_back();
  EXPECT_THAT(Lower(net.graph, {{0, 1}, {0, 1}, {0, 1}, {0, 1}}, options).status().message(),
              HasSubstr("3 wide ranges for 4 values"));
}

// Degenerate ranges and weights do not stop a wide layer.
TEST(Wide, DegenerateLayersStayFinite) {
  Net net({1, 3, 4, 4});
  auto x = net.Conv(net.graph.input, 4, 1);
  auto& conv = std::get<ir::Conv2d>(net.graph.nodes[0].op);
  for (int i = 0; i < 3; ++i) conv.weight.data[i] = 0;       // dead, with a bias
  for (int i = 3; i < 6; ++i) conv.weight.data[i] = 1e-20f;  // next to dead
  conv.bias = {5, 0, -1e-20f, 0};
  x = net.Relu(x);
  // Everything but a sliver is cut off: the output's range is a fraction of a step of its input.
  const auto y = net.Conv(x, 4, 1);
  std::get<ir::Conv2d>(net.graph.nodes[2].op).bias = {-1000, -1000, -1000, -1000};
  const auto z = net.Relu(y);
  net.graph.output = net.Conv(z, 4, 1);
  for (const std::vector<ir::ValueId>& wide :
       {std::vector{x}, std::vector{z}, std::vector{x, z}, std::vector{net.graph.input, x, z}}) {
    RunNet(net, Wide(wide), 30);
  }
}

// 70,000 products of 255 and 127 leave int32, at either width: by bytes.
TEST(Wide, SumsBeyondInt32AreRefused) {
  Net net({1, 70000});
  net.graph.output =
      net.Add(ir::Linear{{{2, 70000}, std::vector<float>(140000, 1)}, {}}, {net.graph.input});
  const std::vector<quant::Range> ranges(2, {-1, 1});
  for (const Options& options : {Options(), Wide({net.graph.input})}) {
    const Status status = Lower(net.graph, ranges, options).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), HasSubstr("layer \"node0\" (linear): channel 0"));
    EXPECT_THAT(status.message(), HasSubstr("can leave int32"));
  }
}

TEST(Wide, CertificatesCoverSumsBeyondInt32) {
  Net net({1, 60000});
  net.graph.output =
      net.Add(ir::Linear{{{2, 60000}, std::vector<float>(120000, 1)}, {}}, {net.graph.input});
  const std::vector<quant::Range> ranges(2, {-1, 1});
  const auto lowered = Lower(net.graph, ranges, Wide({net.graph.input}));
  ASSERT_TRUE(lowered.ok()) << lowered.status().ToString();
  const artifact::Layer& layer = lowered->model.layers[0];
  EXPECT_EQ(layer.acc_max - layer.acc_min, int64_t{60000} * 127 * 65535);
}

}  // namespace
}  // namespace haq::lower
