// The rows that learned rounding looks at, and the integer network's tensors behind them, on
// networks built by hand.
#include "core/pipeline/rounding.h"

#include <gtest/gtest.h>

#include <map>

#include "core/runtime/edges.h"
#include "core/runtime/session.h"
#include "tests/unit/core/lower/net.h"

namespace haq::pipeline {
namespace {

using lower::Net;

constexpr int64_t kImages = 12;

// Every kind of product: padded, strided, dilated, depthwise, grouped, 1x1 into an addition, an
// addition that a clamp follows, branches into a concatenation, a linear layer that reads an image.
Net MakeNet() {
  Net net({1, 3, 14, 12});
  ir::ValueId x = net.Relu(net.Conv(net.graph.input, 8, 3, 2, 1, {1, 1, 0, 1}));
  const ir::ValueId depthwise = net.Relu(net.Conv(x, 8, 3, 1, 8, {1, 1, 1, 1}));
  x = net.Add(ir::Add{}, {net.Conv(depthwise, 8, 1), x});
  const ir::ValueId grouped = net.Conv(net.Relu(x), 12, 3, 1, 4, {2, 2, 2, 2}, 2);
  const ir::ValueId other = net.Conv(net.Relu(x), 4, 1);
  x = net.Relu(net.Add(ir::Concat{1}, {grouped, other}));
  x = net.Relu(net.Add(ir::Add{}, {x, net.Conv(x, 16, 3, 1, 1, {1, 1, 1, 1})}));
  const ir::Shape& shape = net.graph.values[x].shape;
  const ir::ValueId flat = net.Add(ir::Reshape{}, {x}, {1, shape[1] * shape[2] * shape[3]});
  net.graph.output = net.Linear(net.Relu(net.Linear(flat, 9)), 5);
  return net;
}

class RoundingTest : public testing::Test {
 protected:
  void SetUp() override {
    images_ = net_.random.Normal(kImages * 3 * 14 * 12);
    executor_ = *float_exec::Executor::Create(net_.graph, 1);
    calib::Calibrator calibrator(net_.graph, "minmax");
    ASSERT_TRUE(calibrator.ObserveBatch(*executor_, kImages, images_).ok());
    ranges_ = *calibrator.ChooseRanges();
    lowered_ = *lower::Lower(net_.graph, ranges_, {});
    RunWhole();
  }

  // The stored bytes of every tensor of every image.
  void RunWhole() {
    const auto loaded = *runtime::LoadedModel::Create(lowered_.model);
    const auto session = *runtime::Session::Create(loaded);
    const int64_t elements = loaded->input_elements();
    std::vector<float> output(loaded->output_elements());
    whole_.assign(kImages, {});
    for (int64_t image = 0; image < kImages; ++image) {
      const auto tap = [&](int32_t tensor, std::span<const uint8_t> bytes) {
        whole_[image][tensor].assign(bytes.begin(), bytes.end());
      };
      ASSERT_TRUE(
          session->Run(1, std::span(images_).subspan(image * elements, elements), output, tap)
              .ok());
    }
  }

  std::vector<uint8_t> StoredInput() const {
    std::vector<uint8_t> stored;
    for (const auto& tensors : whole_) {
      const auto& bytes = tensors.at(lowered_.model.input);
      stored.insert(stored.end(), bytes.begin(), bytes.end());
    }
    return stored;
  }

  // [C, H, W] of a stored tensor.
  std::vector<float> Dequantized(int64_t image, int32_t tensor) const {
    std::vector<float> real(lowered_.model.tensors[tensor].ElementCount());
    runtime::DequantizeSample(lowered_.model.tensors[tensor], whole_[image].at(tensor), real);
    return real;
  }

  // The tensor that stores what `layer` is to reproduce.
  int32_t TargetTensor(const RoundingLayer& layer) const {
    for (const lower::TensorDecision& decision : lowered_.decisions) {
      const int producer = net_.graph.ProducerOf(decision.value);
      if (decision.value == layer.target) return decision.tensor;
      if (producer >= 0 && std::holds_alternative<ir::Clamp>(net_.graph.nodes[producer].op) &&
          net_.graph.nodes[producer].inputs[0] == layer.target) {
        return decision.tensor;
      }
    }
    ADD_FAILURE() << "no tensor for value " << layer.target;
    return 0;
  }

  Net net_ = MakeNet();
  std::vector<float> images_;
  std::unique_ptr<float_exec::Executor> executor_;
  std::vector<quant::Range> ranges_;
  lower::Lowered lowered_;
  std::vector<std::map<int32_t, std::vector<uint8_t>>> whole_;
};

// With the integer network's own outputs as targets and its own integers as weights, every equation
// holds as well as the output's rounding allows.
TEST_F(RoundingTest, RowsAreTheIntegerNetworksOwnSums) {
  ASSERT_EQ(lowered_.sums.size(), 8u);
  int summands = 0;
  for (int sum = 0; sum < 8; ++sum) {
    SCOPED_TRACE(sum);
    const RoundingLayer layer = *DescribeRounding(net_.graph, lowered_, sum);
    const lower::SumWeights& weights = lowered_.sums[sum];
    RoundingProblem rows(layer, kImages, {.rows = 150});
    rows.AllocateTargets();
    rows.AllocateInputs();
    const int32_t target = TargetTensor(layer);
    for (int64_t image = 0; image < kImages; ++image) {
      rows.AddTarget(image, Dequantized(image, target));
      rows.AddInput(lowered_.model.tensors[layer.input], image, whole_[image].at(layer.input));
      if (layer.summand < 0) continue;
      rows.AddSummand(lowered_.model.tensors[layer.summand], image,
                      whole_[image].at(layer.summand));
    }
    summands += layer.summand >= 0;
    const adaround::Problem& p = rows.problem();
    EXPECT_LE(p.rows, 150);
    EXPECT_GT(p.rows, p.train_rows);
    const ir::Op& op = net_.graph.nodes[weights.node].op;
    const auto* conv = std::get_if<ir::Conv2d>(&op);
    const std::vector<float>& bias = conv ? conv->bias : std::get<ir::Linear>(op).bias;
    // The last rounding, and the residual's multiplier.
    const double tolerance = 0.55 * lowered_.model.tensors[target].scale;
    int64_t open = 0;
    for (int64_t r = 0; r < p.rows; ++r) {
      for (int64_t o = 0; o < p.outputs; ++o) {
        double total = bias[o];
        const int64_t group = o / (p.outputs / p.groups);
        for (int64_t k = 0; k < p.inputs; ++k) {
          total += weights.weights.scales[o] * weights.weights.values[o * p.inputs + k] *
                   p.x[(group * p.rows + r) * p.inputs + k];
        }
        const int64_t at = r * p.outputs + o;
        ASSERT_LE(total, p.high[at] + tolerance) << "row " << r << " output " << o;
        ASSERT_GE(total, p.low[at] - tolerance) << "row " << r << " output " << o;
        open += std::isinf(p.low[at]);
      }
    }
    const bool clamped = lowered_.model.tensors[target].zero_point == 0;
    EXPECT_EQ(open > p.rows * p.outputs / 10, clamped) << open;
  }
  EXPECT_EQ(summands, 2);
}

TEST_F(RoundingTest, RowsDependOnTheImagesAlone) {
  const RoundingLayer layer = *DescribeRounding(net_.graph, lowered_, 1);
  const auto make = [&](int64_t rows, const std::vector<int64_t>& order) {
    RoundingProblem problem(layer, kImages, {.rows = rows});
    problem.AllocateTargets();
    problem.AllocateInputs();
    for (const int64_t image : order) {
      problem.AddTarget(image, Dequantized(image, TargetTensor(layer)));
      problem.AddInput(lowered_.model.tensors[layer.input], image, whole_[image].at(layer.input));
    }
    return problem.problem();
  };
  std::vector<int64_t> order(kImages);
  std::iota(order.begin(), order.end(), 0);
  const adaround::Problem forward = make(240, order);
  std::reverse(order.begin(), order.end());
  const adaround::Problem backward = make(240, order);
  EXPECT_EQ(forward.x, backward.x);
  EXPECT_EQ(forward.low, backward.low);
  EXPECT_EQ(forward.rows, 240);
  EXPECT_EQ(forward.train_rows, 200) << "two of the twelve images judge";
  EXPECT_EQ(make(1 << 20, order).rows, kImages * 7 * 6) << "no position counts twice";
  EXPECT_EQ(make(1, order).rows, kImages) << "one of every image at least";
}

TEST_F(RoundingTest, ThePrefixGivesTheTensorsOfAWholeRun) {
  ThreadPool pool(2);
  for (const size_t limit : {size_t{0}, size_t{3000}, size_t{1} << 20}) {
    SCOPED_TRACE(limit);
    IntegerPrefix prefix(StoredInput(), kImages, limit, pool);
    for (int sum = 0; sum < 8; ++sum) {
      const RoundingLayer layer = *DescribeRounding(net_.graph, lowered_, sum);
      std::vector<int32_t> tensors{layer.input};
      if (layer.summand >= 0) tensors.push_back(layer.summand);
      std::vector<int> visits(kImages);
      const Status status =
          prefix.Visit(lowered_.model, lowered_.sums[sum].layer, tensors,
                       [&](int64_t image, int32_t tensor, std::span<const uint8_t> bytes) {
                         ++visits[image];
                         EXPECT_TRUE(std::ranges::equal(bytes, whole_[image].at(tensor))) << tensor;
                       });
      ASSERT_TRUE(status.ok()) << status.ToString();
      // An input that is the summand too is visited once.
      const bool same = layer.summand == layer.input;
      EXPECT_EQ(visits, std::vector<int>(kImages, tensors.size() - (same ? 1 : 0))) << sum;
    }
  }
}

class LearnTest : public RoundingTest {
 protected:
  Rounding::Context Context() {
    return {net_.graph,
            ranges_,
            options_,
            fit_bias_,
            *executor_,
            pool_,
            token_,
            [this](const std::function<Status(const Batch&)>& add) {
              Batch batch;
              batch.n = kImages;
              batch.input = images_;
              return add(batch);
            },
            [this](int64_t done, int64_t total) -> Status {
              EXPECT_EQ(total, 8);
              done_.push_back(done);
              if (done == cancel_at_) token_.Cancel();
              return {};
            }};
  }

  lower::Options options_;
  bool fit_bias_ = true;
  ThreadPool pool_{1};
  CancellationToken token_;
  std::vector<int64_t> done_;
  int64_t cancel_at_ = -1;
};

TEST_F(LearnTest, LearnsEveryLayerInOrder) {
  Rounding rounding(Context(), {.target_bytes = 50'000});
  const Status status = rounding.Run();
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(done_, (std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7, 8}));
  ASSERT_EQ(rounding.layers().size(), 8u);
  double before = 0, after = 0;
  int64_t learned_outputs = 0;
  for (size_t i = 0; i < 8; ++i) {
    const LearnedLayer& layer = rounding.layers()[i];
    EXPECT_EQ(layer.node, lowered_.sums[i].node);
    learned_outputs += layer.learned_outputs;
    before += std::log(layer.nearest_error), after += std::log(layer.error);
  }
  EXPECT_GT(learned_outputs, 10);
  EXPECT_LT(after, before - 0.2);
  const auto learned = *lower::Lower(rounding.graph(), ranges_, rounding.lower_options());
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(learned.sums[i].weights.values, rounding.layers()[i].weights);
    EXPECT_EQ(learned.sums[i].weights.scales, lowered_.sums[i].weights.scales);
  }
  // The groups that share an FP32 pass leave no trace.
  Rounding at_once(Context());
  ASSERT_TRUE(at_once.Run().ok());
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(at_once.layers()[i].weights, rounding.layers()[i].weights) << i;
    EXPECT_EQ(at_once.layers()[i].bias, rounding.layers()[i].bias) << i;
  }
}

// Its levels take two bytes each; whoever makes room for one of each writes past the end.
TEST_F(LearnTest, TheInputMayBeKeptAt16Bits) {
  options_.wide = {net_.graph.input};
  const auto wide = *lower::Lower(net_.graph, ranges_, options_);
  ASSERT_EQ(wide.model.tensors[wide.model.input].type, artifact::DataType::kUint16);
  Rounding rounding(Context());
  const Status status = rounding.Run();
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(rounding.layers().size(), 8u);
}

TEST_F(LearnTest, BiasesStayUnlessTheyMayBeFitted) {
  fit_bias_ = false;
  Rounding rounding(Context());
  ASSERT_TRUE(rounding.Run().ok());
  const auto bias_of = [](const ir::Graph& graph, int node) {
    const auto* conv = std::get_if<ir::Conv2d>(&graph.nodes[node].op);
    return conv ? conv->bias : std::get<ir::Linear>(graph.nodes[node].op).bias;
  };
  for (const LearnedLayer& layer : rounding.layers()) {
    EXPECT_EQ(bias_of(rounding.graph(), layer.node), bias_of(net_.graph, layer.node));
    EXPECT_TRUE(layer.bias.empty());
  }
}

TEST_F(LearnTest, GoesOnWhereItStopped) {
  Rounding undisturbed(Context());
  ASSERT_TRUE(undisturbed.Run().ok());
  cancel_at_ = 3;
  Rounding stopped(Context());
  EXPECT_EQ(stopped.Run().code(), StatusCode::kCancelled);
  ByteWriter writer;
  stopped.Save(writer);
  const std::vector<uint8_t> bytes = writer.Take();
  cancel_at_ = -1;
  token_ = {};
  done_.clear();
  Rounding resumed(Context());
  ByteReader reader(bytes);
  ASSERT_TRUE(resumed.Restore(reader).ok());
  ASSERT_TRUE(resumed.Run().ok());
  EXPECT_EQ(done_, (std::vector<int64_t>{4, 5, 6, 7, 8}));
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(resumed.layers()[i].weights, undisturbed.layers()[i].weights) << i;
    EXPECT_EQ(resumed.layers()[i].bias, undisturbed.layers()[i].bias) << i;
    EXPECT_EQ(resumed.layers()[i].error, undisturbed.layers()[i].error) << i;
  }

  for (size_t size = 0; size < bytes.size(); size += 7) {
    Rounding cut(Context());
    ByteReader part(std::span<const uint8_t>(bytes).first(size));
    EXPECT_EQ(cut.Restore(part).code(), StatusCode::kDataLoss) << size;
  }
  fit_bias_ = false;
  Rounding other(Context());
  ByteReader again(bytes);
  EXPECT_EQ(other.Restore(again).code(), StatusCode::kDataLoss);
}

}  // namespace
}  // namespace haq::pipeline
