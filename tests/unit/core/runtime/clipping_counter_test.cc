#include "core/runtime/clipping_counter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/support/model_builder.h"
#include "tests/support/seed.h"

namespace haq::runtime {
namespace {

// With a concatenation, whose operands lie apart in memory, and a residual.
artifact::Model MakeModel(uint64_t seed) {
  test::ModelBuilder b({9, 7, 3}, seed);
  const int32_t a = b.Conv(b.input(), {.out_channels = 5, .kernel = 3, .padding = 1});
  const int32_t c = b.Conv(a, {.out_channels = 5, .kernel = 1, .relu = false, .residual = a});
  const int32_t joined = b.Concat({a, c}, 2);
  return b.Finish(b.Linear(b.Reshape(b.MaxPool(joined, 2, 2, 0), {4 * 3 * 10}), 6));
}

TEST(ClippingCounter, CountsWhatEveryTensorHolds) {
  const uint64_t seed = test::Seed();
  for (const kernels::KernelTable* kernels : kernels::SupportedKernels()) {
    const auto loaded = LoadedModel::Create(MakeModel(seed), kernels).value();
    const auto session = Session::Create(loaded, 3).value();
    std::vector<artifact::TensorClipping> tensors;
    for (size_t i = 0; i < loaded->model().tensors.size(); ++i) {
      tensors.push_back({static_cast<int32_t>(i), i % 3 != 0, i % 3 != 1, 0});
    }
    std::mt19937_64 random(seed);
    std::vector<uint8_t> input(static_cast<size_t>(3 * loaded->input_elements()));
    for (uint8_t& level : input) level = static_cast<uint8_t>(random());
    std::vector<uint8_t> output(static_cast<size_t>(3 * loaded->output_elements()));

    std::map<int32_t, int64_t> expected;
    ASSERT_TRUE(session
                    ->RunQuantized(3, input, output,
                                   [&](int32_t tensor, std::span<const uint8_t> levels) {
                                     if (tensor % 3 != 0) {
                                       expected[tensor] += std::ranges::count(levels, 0);
                                     }
                                     if (tensor % 3 != 1) {
                                       expected[tensor] += std::ranges::count(levels, 255);
                                     }
                                   })
                    .ok());
    const ClippingCounter counter(loaded, tensors);
    std::vector<int64_t> counts(counter.size(), 1000);
    ASSERT_TRUE(session->RunQuantized(3, input, output, counter.TapInto(counts)).ok());
    int64_t all = 0;
    for (size_t i = 0; i < counts.size(); ++i) {
      EXPECT_EQ(counts[i] - 1000, expected[static_cast<int32_t>(i)]) << "tensor " << i;
      all += counts[i] - 1000;
    }
    EXPECT_GT(all, 10) << kernels->name;
  }
}

TEST(ClippingCounter, LeavesOutWhatIsNotChosen) {
  const auto loaded = LoadedModel::Create(MakeModel(1)).value();
  const auto session = Session::Create(loaded, 1).value();
  const ClippingCounter counter(loaded, {{loaded->model().input, false, true, 0}});
  std::vector<uint8_t> input(static_cast<size_t>(loaded->input_elements()), 255);
  input[0] = 0, input[1] = 254;
  std::vector<uint8_t> output(static_cast<size_t>(loaded->output_elements()));
  std::vector<int64_t> counts(counter.size());
  ASSERT_TRUE(session->RunQuantized(1, input, output, counter.TapInto(counts)).ok());
  EXPECT_EQ(counts, (std::vector<int64_t>{loaded->input_elements() - 2}));
}

}  // namespace
}  // namespace haq::runtime
