#include "core/runtime/memory_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/support/model_builder.h"
#include "tests/support/random_models.h"
#include "tests/support/seed.h"

namespace haq::runtime {
namespace {

using test::ModelBuilder;

// Plays the model through for a batch of two: every tensor's bytes hold its own number from where
// it is written to where it is last read. Aliases of a reshape hold the same.
class Player {
 public:
  explicit Player(const artifact::Model& model)
      : model_(model),
        plan_(PlanMemory(model)),
        owner_(plan_.arena_bytes * kBatch, -1),
        content_(model.tensors.size()) {}

  void Play() {
    Write(model_.input, model_.input);
    for (const artifact::Layer& layer : model_.layers) {
      const bool reshape = std::holds_alternative<artifact::Reshape>(layer.op);
      const bool concat = std::holds_alternative<artifact::Concat>(layer.op);
      for (const int32_t input : layer.inputs) Read(input);
      Write(layer.output, reshape ? content_[layer.inputs[0]] : layer.output);
      // The output does not overlap the inputs, but for those that are already in their place.
      for (size_t i = 0; i < layer.inputs.size(); ++i) {
        const int32_t input = layer.inputs[i];
        if (concat && plan_.places[input].pixel_bytes != 0) continue;
        // A convolution may replace its residual, level by level.
        if (i == 1 && std::holds_alternative<artifact::Conv2d>(layer.op) &&
            plan_.places[input].offset == plan_.places[layer.output].offset) {
          continue;
        }
        Read(input);
      }
    }
    Read(model_.output);
  }

  const MemoryPlan& plan() const { return plan_; }

 private:
  static constexpr int64_t kBatch = 2;

  // Calls body(index into owner_) for every byte of the tensor.
  template <typename Body>
  void ForBytes(int32_t tensor, const Body& body) {
    const Place& place = plan_.places[tensor];
    EXPECT_EQ(place.offset % 64, 0u);
    const size_t bytes = SampleBytes(model_.tensors[tensor]);
    const auto channels = static_cast<size_t>(model_.tensors[tensor].shape.back());
    uint8_t* const none = nullptr;
    const auto first = static_cast<size_t>(place.Find(none, kBatch) - none);
    for (size_t i = 0; i < bytes * kBatch; ++i) {
      const size_t inside = i % bytes;
      const size_t at = place.pixel_bytes == 0
                            ? inside
                            : inside / channels * place.pixel_bytes + inside % channels;
      body(first + i / bytes * place.sample_bytes + at);
    }
  }
  void Write(int32_t tensor, int32_t value) {
    content_[tensor] = value;
    ForBytes(tensor, [&](size_t at) { owner_.at(at) = value; });
  }
  void Read(int32_t tensor) {
    int64_t overwritten = 0;
    ForBytes(tensor, [&](size_t at) { overwritten += owner_.at(at) != content_[tensor]; });
    ASSERT_EQ(overwritten, 0) << "tensor " << tensor << " was overwritten";
  }

  const artifact::Model& model_;
  const MemoryPlan plan_;
  std::vector<int32_t> owner_, content_;
};

void ExpectNothingIsOverwritten(const artifact::Model& model) { Player(model).Play(); }

TEST(MemoryPlan, NothingAliveIsOverwritten) {
  ExpectNothingIsOverwritten(test::EveryOperator());
  ExpectNothingIsOverwritten(test::MobileNetV2Like(64, 100));
  for (uint64_t i = 0; i < 300; ++i)
    ExpectNothingIsOverwritten(test::RandomNetwork(test::Seed() + i));
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

// Both branches are computed where the concatenation wants them: the arena holds the input, and the
// concatenation, and nothing else.
TEST(MemoryPlan, ConvolutionsWriteIntoTheirConcatenation) {
  ModelBuilder b({8, 8, 16}, 1);
  const int32_t first = b.Conv(b.input(), {.out_channels = 48});
  const int32_t second = b.Conv(b.input(), {.out_channels = 16});
  const int32_t both = b.Concat({first, second}, 2);
  const artifact::Model model = b.Finish(both);
  const MemoryPlan plan = PlanMemory(model);
  EXPECT_EQ(plan.arena_bytes, 8u * 8 * (16 + 64));
  EXPECT_EQ(plan.places[first].offset, plan.places[both].offset);
  EXPECT_EQ(plan.places[second].offset, plan.places[both].offset);
  EXPECT_EQ(plan.places[first].inner, 0u);
  EXPECT_EQ(plan.places[second].inner, 48u);
  EXPECT_EQ(plan.places[second].pixel_bytes, 64u);
  EXPECT_EQ(plan.places[both].pixel_bytes, 0u);
}

TEST(MemoryPlan, BranchesWithOtherReadersKeepTheirOwnBytes) {
  ModelBuilder b({8, 8, 16}, 1);
  const int32_t twice = b.Conv(b.input(), {.out_channels = 16});
  const int32_t read = b.Conv(b.input(), {.out_channels = 16});
  const int32_t table = b.Table(b.input());
  const int32_t both = b.Concat({twice, twice, read, table}, 2);
  const artifact::Model model = b.Finish(b.Concat({both, read}, 2));
  for (const int32_t tensor : {twice, read, table, both}) {
    EXPECT_EQ(PlanMemory(model).places[tensor].pixel_bytes, 0u) << tensor;
  }
  ExpectNothingIsOverwritten(model);
}

// The sum of a residual block takes the place of what the branch was added to: the arena holds that
// and the branch.
TEST(MemoryPlan, ResidualsAreAddedInPlace) {
  ModelBuilder b({8, 8, 16}, 1);
  int32_t x = b.input();
  for (int i = 0; i < 5; ++i) {
    const int32_t inside = b.Conv(x, {.out_channels = 4});
    x = b.Conv(inside, {.out_channels = 16, .relu = false, .residual = x});
  }
  const artifact::Model model = b.Finish(x);
  EXPECT_EQ(PlanMemory(model).arena_bytes, 8u * 8 * (16 + 4));
  ExpectNothingIsOverwritten(model);
}

TEST(MemoryPlan, ResidualsThatAreReadAgainStay) {
  ModelBuilder b({8, 8, 16}, 1);
  const int32_t read = b.Conv(b.input(), {.out_channels = 16});
  const int32_t sum = b.Conv(b.input(), {.out_channels = 16, .relu = false, .residual = read});
  const int32_t again = b.Add(sum, read);
  const int32_t twice = b.Conv(again, {.out_channels = 16, .relu = false, .residual = again});
  const int32_t reshaped = b.Reshape(b.Reshape(twice, {64, 16}), {8, 8, 16});
  const int32_t other = b.Conv(twice, {.out_channels = 16, .relu = false, .residual = reshaped});
  const artifact::Model model = b.Finish(b.Add(other, b.Table(twice)));
  const MemoryPlan plan = PlanMemory(model);
  EXPECT_NE(plan.places[sum].offset, plan.places[read].offset);
  EXPECT_NE(plan.places[twice].offset, plan.places[again].offset);
  EXPECT_NE(plan.places[other].offset, plan.places[reshaped].offset);
  ExpectNothingIsOverwritten(model);
}

// Bytes that hold something at the layer where these are most: no plan with the same tensors in the
// same places of each other has a smaller arena.
size_t MostBytesAlive(const artifact::Model& model) {
  const MemoryPlan plan = PlanMemory(model);
  const size_t count = model.tensors.size(), end = model.layers.size();
  std::vector<size_t> first(count, end), last(count, 0);
  first[model.input] = 0;
  for (size_t i = 0; i < end; ++i) {
    first[model.layers[i].output] = i;
    last[model.layers[i].output] = i;
    for (const int32_t input : model.layers[i].inputs) last[input] = i;
  }
  last[model.output] = end;
  size_t most = 0;
  for (size_t now = 0; now <= end; ++now) {
    std::vector<bool> alive(plan.arena_bytes / 64);
    for (size_t t = 0; t < count; ++t) {
      if (first[t] > now || last[t] < now) continue;
      // Of a tensor inside a concatenation, all of the concatenation is alive.
      const Place& place = plan.places[t];
      const size_t blocks = (place.sample_bytes + 63) / 64;
      std::fill_n(alive.begin() + static_cast<int64_t>(place.offset / 64), blocks, true);
    }
    most = std::max(most, static_cast<size_t>(std::count(alive.begin(), alive.end(), true)) * 64);
  }
  return most;
}

artifact::Model ResNetLike() {
  ModelBuilder b({112, 112, 64}, 1);
  int32_t x = b.MaxPool(b.input(), 3, 2, 1);
  for (const int32_t channels : {64, 128, 256, 512}) {
    for (int i = 0; i < 3; ++i) {
      const int32_t stride = i == 0 && channels > 64 ? 2 : 1;
      int32_t added = x;
      if (i == 0) added = b.Conv(x, {.out_channels = 4 * channels, .stride = stride});
      x = b.Conv(x, {.out_channels = channels});
      x = b.Conv(x, {.out_channels = channels, .kernel = 3, .stride = stride, .padding = 1});
      x = b.Conv(x, {.out_channels = 4 * channels, .relu = false, .residual = added});
    }
  }
  return b.Finish(b.Linear(b.GlobalAvgPool(x), 10));
}

artifact::Model GoogLeNetLike() {
  ModelBuilder b({56, 56, 192}, 1);
  int32_t x = b.input();
  for (int i = 0; i < 6; ++i) {
    if (i % 2 == 0) x = b.MaxPool(x, 3, 2, 1);
    const int32_t one = b.Conv(x, {.out_channels = 64 + 32 * i});
    const int32_t three =
        b.Conv(b.Conv(x, {.out_channels = 96}), {.out_channels = 128, .kernel = 3, .padding = 1});
    const int32_t five = b.Conv(b.Conv(x, {.out_channels = 16}),
                                {.out_channels = 32 + 8 * i, .kernel = 5, .padding = 2});
    const int32_t pooled = b.Conv(b.MaxPool(x, 3, 1, 1), {.out_channels = 32});
    x = b.Concat({one, three, five, pooled}, 2);
  }
  return b.Finish(x);
}

TEST(MemoryPlan, TheArenaIsWhatIsAliveAndATenth) {
  const artifact::Model models[] = {test::MobileNetV2Like(), ResNetLike(), GoogLeNetLike()};
  for (const artifact::Model& model : models) {
    EXPECT_LE(PlanMemory(model).arena_bytes * 10, MostBytesAlive(model) * 11);
  }
  size_t planned = 0, alive = 0;
  for (uint64_t i = 0; i < 300; ++i) {
    const artifact::Model model = test::RandomNetwork(test::Seed() + i);
    planned += PlanMemory(model).arena_bytes;
    alive += MostBytesAlive(model);
  }
  EXPECT_LE(planned * 10, alive * 11);
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
