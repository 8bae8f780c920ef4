// One network per operator, and networks of all of them, against the naive evaluation: every
// tensor, not the output alone.
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "core/runtime/session.h"
#include "tests/support/model_builder.h"
#include "tests/support/random_models.h"
#include "tests/support/seed.h"
#include "tests/unit/core/runtime/naive.h"

namespace haq::runtime {
namespace {

using test::ModelBuilder;

std::vector<uint8_t> RandomLevels(int64_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<uint8_t> levels(count);
  for (uint8_t& level : levels) level = static_cast<uint8_t>(random());
  return levels;
}

// Runs `batch` samples at once and compares every tensor of every sample.
void ExpectNaive(artifact::Model model, int64_t batch, uint64_t seed) {
  const auto loaded = LoadedModel::Create(std::move(model)).value();
  const auto session = Session::Create(loaded, batch).value();
  const int64_t input_bytes =
      loaded->input_elements() *
      artifact::LevelBytes(loaded->model().tensors[loaded->model().input].type);
  const std::vector<uint8_t> input = RandomLevels(batch * input_bytes, seed);
  std::vector<std::vector<std::vector<uint8_t>>> expected;
  for (int64_t i = 0; i < batch; ++i) {
    expected.push_back(test::EvaluateNaively(
        loaded->model(), std::span(input).subspan(i * input_bytes, input_bytes)));
  }
  const size_t output_bytes = expected[0][loaded->model().output].size();
  std::vector<uint8_t> output(batch * output_bytes);
  std::vector<int32_t> tapped;
  const auto tap = [&](int32_t tensor, std::span<const uint8_t> bytes) {
    tapped.push_back(tensor);
    std::vector<uint8_t> all;
    for (const auto& sample : expected) {
      all.insert(all.end(), sample[tensor].begin(), sample[tensor].end());
    }
    ASSERT_EQ(std::vector<uint8_t>(bytes.begin(), bytes.end()), all) << "tensor " << tensor;
  };
  const Status status = session->RunQuantized(batch, input, output, tap);
  ASSERT_TRUE(status.ok()) << status.ToString();
  std::vector<int32_t> order = {loaded->model().input};
  for (const artifact::Layer& layer : loaded->model().layers) order.push_back(layer.output);
  EXPECT_EQ(tapped, order);
  for (int64_t i = 0; i < batch; ++i) {
    const auto& sample = expected[i][loaded->model().output];
    EXPECT_TRUE(std::equal(sample.begin(), sample.end(), output.begin() + i * output_bytes));
  }
}

struct OperatorCase {
  const char* name;
  std::vector<int32_t> shape;
  std::function<int32_t(ModelBuilder&)> build;
  bool wide_input = false;
};

class OperatorTest : public testing::TestWithParam<OperatorCase> {};

TEST_P(OperatorTest, EqualsTheDefinition) {
  const OperatorCase& c = GetParam();
  for (uint64_t i = 0; i < 5; ++i) {
    for (const int64_t batch : {1, 3}) {
      ModelBuilder b(c.shape, test::Seed() + i, static_cast<int32_t>(i) * 63, c.wide_input);
      const int32_t output = c.build(b);
      ExpectNaive(b.Finish(output), batch, test::Seed() + 100 + i);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, OperatorTest,
    testing::Values(
        OperatorCase{"Conv",
                     {9, 7, 5},
                     [](ModelBuilder& b) {
                       return b.Conv(b.input(), {.out_channels = 19, .kernel = 3, .padding = 1});
                     }},
        OperatorCase{"ConvStridedGrouped",
                     {9, 7, 6},
                     [](ModelBuilder& b) {
                       return b.Conv(b.input(), {.out_channels = 9,
                                                 .kernel = 3,
                                                 .stride = 2,
                                                 .padding = 2,
                                                 .groups = 3,
                                                 .relu = false});
                     }},
        OperatorCase{
            "Depthwise",
            {9, 7, 21},
            [](ModelBuilder& b) {
              return b.Conv(
                  b.input(),
                  {.out_channels = 21, .kernel = 5, .padding = 4, .dilation = 2, .groups = 21});
            }},
        OperatorCase{"ConvWithResidual",
                     {9, 7, 21},
                     [](ModelBuilder& b) {
                       return b.Conv(b.input(), {.out_channels = 21,
                                                 .kernel = 3,
                                                 .padding = 1,
                                                 .relu = false,
                                                 .residual = b.input()});
                     }},
        OperatorCase{"DepthwiseWithResidual",
                     {9, 7, 21},
                     [](ModelBuilder& b) {
                       return b.Conv(b.input(), {.out_channels = 21,
                                                 .kernel = 3,
                                                 .padding = 1,
                                                 .groups = 21,
                                                 .residual = b.Table(b.input())});
                     }},
        OperatorCase{
            "LinearOfImage", {3, 4, 5}, [](ModelBuilder& b) { return b.Linear(b.input(), 11); }},
        OperatorCase{
            "LinearOfVector", {33}, [](ModelBuilder& b) { return b.Linear(b.input(), 17); }},
        OperatorCase{
            "Add", {5, 4, 3}, [](ModelBuilder& b) { return b.Add(b.input(), b.Table(b.input())); }},
        OperatorCase{
            "AddToItself", {7}, [](ModelBuilder& b) { return b.Add(b.input(), b.input()); }},
        OperatorCase{"AddPerChannel",
                     {5, 5, 3},
                     [](ModelBuilder& b) { return b.Add(b.input(), b.GlobalAvgPool(b.input())); }},
        OperatorCase{
            "Mul", {5, 4, 3}, [](ModelBuilder& b) { return b.Mul(b.Table(b.input()), b.input()); }},
        OperatorCase{"MulPerChannel",
                     {5, 5, 18},
                     [](ModelBuilder& b) { return b.Mul(b.input(), b.GlobalAvgPool(b.input())); }},
        OperatorCase{"Table", {5, 4, 3}, [](ModelBuilder& b) { return b.Table(b.input()); }},
        OperatorCase{"ConcatChannels",
                     {3, 4, 5},
                     [](ModelBuilder& b) {
                       return b.Concat({b.input(), b.Table(b.input()), b.input()}, 2);
                     }},
        OperatorCase{"ConcatRows",
                     {3, 4, 5},
                     [](ModelBuilder& b) {
                       return b.Concat({b.Table(b.input()), b.MaxPool(b.input(), 1, 1, 0)}, 0);
                     }},
        OperatorCase{
            "MaxPool", {9, 8, 17}, [](ModelBuilder& b) { return b.MaxPool(b.input(), 3, 2, 1); }},
        OperatorCase{"AvgPoolByCount",
                     {9, 8, 17},
                     [](ModelBuilder& b) { return b.AvgPool(b.input(), 3, 2, 1, true); }},
        OperatorCase{"AvgPoolFixedDivisor",
                     {9, 8, 17},
                     [](ModelBuilder& b) { return b.AvgPool(b.input(), 3, 2, 1, false); }},
        OperatorCase{"Pad",
                     {4, 5, 3},
                     [](ModelBuilder& b) {
                       return b.Pad(b.input(), {1, 0, 2}, {0, 3, 1});
                     }},
        OperatorCase{
            "SliceRows", {7, 5, 3}, [](ModelBuilder& b) { return b.Slice(b.input(), 0, 1, 2, 3); }},
        OperatorCase{"SliceChannels",
                     {4, 5, 9},
                     [](ModelBuilder& b) { return b.Slice(b.input(), 2, 0, 4, 3); }},
        OperatorCase{"Transpose",
                     {4, 5, 3},
                     [](ModelBuilder& b) {
                       return b.Transpose(b.input(), {2, 0, 1});
                     }},
        OperatorCase{"Reshape",
                     {4, 5, 3},
                     [](ModelBuilder& b) { return b.Table(b.Reshape(b.input(), {60})); }},
        OperatorCase{"ReshapeOfOutput",
                     {4, 5, 3},
                     [](ModelBuilder& b) { return b.Reshape(b.Table(b.input()), {60}); }},
        OperatorCase{"Softmax", {100}, [](ModelBuilder& b) { return b.Softmax(b.input()); }},
        OperatorCase{"SoftmaxOverChannels",
                     {3, 2, 10},
                     [](ModelBuilder& b) { return b.Softmax(b.input()); }},
        OperatorCase{"WideConv",
                     {9, 7, 5},
                     [](ModelBuilder& b) {
                       return b.Conv(b.input(), {.out_channels = 19, .kernel = 3, .padding = 1});
                     },
                     true},
        OperatorCase{"WideConvOfNarrow",
                     {9, 7, 6},
                     [](ModelBuilder& b) {
                       return b.Conv(b.input(), {.out_channels = 9,
                                                 .kernel = 3,
                                                 .stride = 2,
                                                 .padding = 2,
                                                 .groups = 3,
                                                 .relu = false,
                                                 .wide = true});
                     }},
        OperatorCase{"WideDepthwiseWithWideResidual",
                     {9, 7, 21},
                     [](ModelBuilder& b) {
                       return b.Conv(b.input(), {.out_channels = 21,
                                                 .kernel = 3,
                                                 .padding = 1,
                                                 .groups = 21,
                                                 .residual = b.input()});
                     },
                     true},
        OperatorCase{
            "WideLinear", {3, 4, 5}, [](ModelBuilder& b) { return b.Linear(b.input(), 11); }, true},
        OperatorCase{"WideAdd",
                     {5, 4, 3},
                     [](ModelBuilder& b) { return b.Add(b.input(), b.input()); },
                     true},
        OperatorCase{"WideAvgPool",
                     {9, 8, 17},
                     [](ModelBuilder& b) { return b.AvgPool(b.input(), 3, 2, 1, true); },
                     true},
        OperatorCase{"WideMaxPool",
                     {9, 8, 17},
                     [](ModelBuilder& b) { return b.MaxPool(b.input(), 3, 2, 1); },
                     true},
        OperatorCase{"WidePad",
                     {4, 5, 3},
                     [](ModelBuilder& b) {
                       return b.Pad(b.input(), {1, 0, 2}, {0, 3, 1});
                     },
                     true},
        OperatorCase{"WideMoves",
                     {7, 5, 3},
                     [](ModelBuilder& b) {
                       const int32_t x = b.Slice(b.input(), 0, 1, 2, 3);
                       const int32_t y = b.Slice(x, 2, 0, 2, 2);
                       return b.Reshape(b.Transpose(b.Concat({x, y}, 2), {2, 0, 1}), {75});
                     },
                     true},
        OperatorCase{"Nothing", {3, 2, 10}, [](ModelBuilder& b) { return b.input(); }}),
    [](const auto& info) { return info.param.name; });

TEST(Network, EveryOperatorTogether) {
  for (uint64_t i = 0; i < 10; ++i) {
    ExpectNaive(test::EveryOperator(test::Seed() + i), 1 + static_cast<int64_t>(i) % 4, i);
  }
}

TEST(Network, EveryWideOperatorTogether) {
  for (uint64_t i = 0; i < 10; ++i) {
    ExpectNaive(test::EveryWideOperator(test::Seed() + i), 1 + static_cast<int64_t>(i) % 4, i);
  }
}

TEST(Network, MobileNetShaped) { ExpectNaive(test::MobileNetV2Like(32, 10), 2, 1); }

// A value that is used long after others have come and gone, two consumers of a reshape, and an
// input that is read last.
TEST(Network, LongLivedValues) {
  ModelBuilder b({6, 6, 4}, test::Seed());
  const int32_t early = b.Table(b.input());
  const int32_t flat = b.Reshape(early, {6, 24});
  int32_t x = b.Conv(early, {.out_channels = 4, .kernel = 3, .padding = 1});
  for (int i = 0; i < 4; ++i) x = b.Conv(x, {.out_channels = 4});
  x = b.Add(x, early);
  x = b.Add(x, b.input());
  const int32_t y = b.Reshape(x, {6, 24});
  ExpectNaive(b.Finish(b.Add(y, b.Table(flat))), 2, 5);
}

}  // namespace
}  // namespace haq::runtime
