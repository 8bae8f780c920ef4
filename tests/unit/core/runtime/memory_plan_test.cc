#include "core/runtime/memory_plan.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/model_builder.h"
#include "tests/support/random_models.h"
#include "tests/support/seed.h"

namespace haq::runtime {
namespace {

using test::ModelBuilder;

// Plays the model through: every tensor's bytes hold its own number from where it is written to
// where it is last read. Aliases of a reshape hold the same.
void ExpectNothingIsOverwritten(const artifact::Model& model) {
  const MemoryPlan plan = PlanMemory(model);
  std::vector<int32_t> owner(plan.arena_bytes, -1);
  std::vector<int32_t> content(model.tensors.size());
  const auto write = [&](int32_t tensor, int32_t value) {
    content[tensor] = value;
    const size_t bytes = SampleBytes(model.tensors[tensor]);
    ASSERT_LE(plan.offsets[tensor] + bytes, plan.arena_bytes);
    EXPECT_EQ(plan.offsets[tensor] % 64, 0u);
    std::fill_n(owner.begin() + static_cast<int64_t>(plan.offsets[tensor]), bytes, value);
  };
  const auto read = [&](int32_t tensor) {
    const size_t first = plan.offsets[tensor];
    for (size_t i = first; i < first + SampleBytes(model.tensors[tensor]); ++i) {
      ASSERT_EQ(owner[i], content[tensor]) << "tensor " << tensor << " was overwritten";
    }
  };
  write(model.input, model.input);
  for (const artifact::Layer& layer : model.layers) {
    const bool reshape = std::holds_alternative<artifact::Reshape>(layer.op);
    for (const int32_t input : layer.inputs) read(input);
    write(layer.output, reshape ? content[layer.inputs[0]] : layer.output);
    // The output does not overlap the inputs.
    for (const int32_t input : layer.inputs) read(input);
    if (reshape) {
      EXPECT_EQ(plan.offsets[layer.output], plan.offsets[layer.inputs[0]]);
    }
  }
  read(model.output);
}

TEST(MemoryPlan, NothingAliveIsOverwritten) {
  ExpectNothingIsOverwritten(test::EveryOperator());
  ExpectNothingIsOverwritten(test::MobileNetV2Like(64, 100));
}

TEST(MemoryPlan, NothingAliveIsOverwrittenInRandomGraphs) {
  std::mt19937_64 random(test::Seed());
  for (int i = 0; i < 200; ++i) {
    ModelBuilder b({4, 4, 2}, 1);
    std::vector<int32_t> tensors = {b.input()};
    const auto any = [&] { return tensors[random() % tensors.size()]; };
    for (int k = 0; k < 20; ++k) {
      const int32_t x = any();
      if (b.tensor(x).shape.size() != 3) {
        tensors.push_back(b.Table(x));
        continue;
      }
      switch (random() % 4) {
        case 0:
          tensors.push_back(b.Conv(x, {.out_channels = 1 + static_cast<int32_t>(random() % 90)}));
          break;
        case 1: {
          const int32_t count = static_cast<int32_t>(b.tensor(x).ElementCount());
          tensors.push_back(b.Reshape(x, {count}));
          break;
        }
        case 2:
          tensors.push_back(b.Add(x, x));
          break;
        default:
          tensors.push_back(b.Concat({x, b.Table(x)}, 2));
      }
    }
    ExpectNothingIsOverwritten(b.Finish(any()));
  }
}

TEST(MemoryPlan, ChainsNeedTwoTensors) {
  ModelBuilder b({8, 8, 16}, 1);
  int32_t x = b.input();
  for (int i = 0; i < 20; ++i) x = b.Table(x);
  EXPECT_EQ(PlanMemory(b.Finish(x)).arena_bytes, 2u * 8 * 8 * 16);
}

TEST(MemoryPlan, ReshapeNeedsNothing) {
  ModelBuilder b({8, 8, 16}, 1);
  EXPECT_EQ(PlanMemory(b.Finish(b.Reshape(b.input(), {1024}))).arena_bytes, 1024u);
}

// Of MobileNetV2 the widest pair of neighbours decides: 112 x 112 x 96 in and 56 x 56 x 96 out.
TEST(MemoryPlan, MobileNetNeedsItsWidestLayer) {
  EXPECT_LE(PlanMemory(test::MobileNetV2Like()).arena_bytes,
            size_t{112} * 112 * 96 + size_t{112} * 112 * 32);
}

}  // namespace
}  // namespace haq::runtime
