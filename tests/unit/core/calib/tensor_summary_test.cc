#include "core/calib/tensor_summary.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "core/base/thread_pool.h"
#include "core/calib/observer.h"
#include "tests/support/seed.h"
#include "tests/unit/core/calib/distributions.h"

namespace haq::calib {
namespace {

constexpr int64_t kImages = 24;
constexpr size_t kPerImage = 4001;

std::vector<uint8_t> StateOf(const TensorSummary& summary) {
  ByteWriter writer;
  summary.Save(writer);
  return writer.Take();
}

TensorSummary SummaryOf(std::span<const float> values, int64_t images = 1) {
  TensorSummary summary;
  summary.Observe(values, images);
  return summary;
}

Parallel On(ThreadPool& pool) {
  return {pool.threads(), [&pool](int64_t count, const std::function<void(int64_t)>& body) {
            pool.ParallelFor(count, [&](int64_t i, int) { body(i); });
          }};
}

// All but the moving average, which may differ in rounding or, where the order differs, altogether.
void ExpectSameSet(const TensorSummary& a, const TensorSummary& b) {
  EXPECT_EQ(a.count(), b.count());
  EXPECT_EQ(a.zeros(), b.zeros());
  EXPECT_EQ(a.low(), b.low());
  EXPECT_EQ(a.high(), b.high());
  EXPECT_EQ(a.cells().grid().exponent(), b.cells().grid().exponent());
  EXPECT_TRUE(std::ranges::equal(a.cells().counts(), b.cells().counts()));
  for (const std::string& method : MethodNames()) {
    if (method == "moving_minmax") continue;
    EXPECT_EQ(*ChooseRange(method, a), *ChooseRange(method, b)) << method;
  }
}

class SummaryOfEvery : public testing::TestWithParam<NamedValues> {};

TEST_P(SummaryOfEvery, BatchSizesDoNotMatter) {
  const std::span<const float> all(GetParam().values);
  const TensorSummary whole = SummaryOf(all, kImages);
  for (const int64_t batch : {1, 3, 7, 10, 23}) {
    TensorSummary pieces;
    for (int64_t at = 0; at < kImages; at += batch) {
      const int64_t n = std::min(batch, kImages - at);
      pieces.Observe(all.subspan(at * kPerImage, n * kPerImage), n);
    }
    EXPECT_EQ(StateOf(whole), StateOf(pieces)) << "batches of " << batch;
  }
}

TEST_P(SummaryOfEvery, ThreadsDoNotMatter) {
  const TensorSummary alone = SummaryOf(GetParam().values, kImages);
  for (const int threads : {2, 3, 5}) {
    ThreadPool pool(threads);
    ObserveScratch scratch;
    TensorSummary together;
    together.Observe(GetParam().values, kImages, scratch, On(pool));
    EXPECT_EQ(StateOf(alone), StateOf(together)) << threads << " threads";
  }
}

TEST_P(SummaryOfEvery, OrderOfValuesDoesNotMatter) {
  std::vector<float> shuffled = GetParam().values;
  std::mt19937_64 random(test::Seed());
  std::shuffle(shuffled.begin(), shuffled.end(), random);
  ExpectSameSet(SummaryOf(GetParam().values), SummaryOf(shuffled));
}

TEST_P(SummaryOfEvery, ShardsMergeInAnyOrderAndGrouping) {
  const std::span<const float> all(GetParam().values);
  std::mt19937_64 random(test::Seed());
  const TensorSummary whole = SummaryOf(all, kImages);
  for (int trial = 0; trial < 5; ++trial) {
    std::vector<TensorSummary> shards;
    for (int64_t at = 0; at < kImages;) {
      const auto n = std::min<int64_t>(1 + random() % 9, kImages - at);
      shards.push_back(SummaryOf(all.subspan(at * kPerImage, n * kPerImage), n));
      at += n;
    }
    while (shards.size() > 1) {
      std::swap(shards[random() % shards.size()], shards.back());
      const TensorSummary taken = std::move(shards.back());
      shards.pop_back();
      shards[random() % shards.size()].Merge(taken);
    }
    ExpectSameSet(whole, shards[0]);
  }
}

TEST_P(SummaryOfEvery, MergingWithNothingChangesNothing) {
  const TensorSummary whole = SummaryOf(GetParam().values, kImages);
  TensorSummary left = whole, right;
  left.Merge(TensorSummary());
  right.Merge(whole);
  EXPECT_EQ(StateOf(left), StateOf(whole));
  EXPECT_EQ(StateOf(right), StateOf(whole));
}

TEST_P(SummaryOfEvery, StateSurvivesACheckpoint) {
  const std::span<const float> all(GetParam().values);
  const TensorSummary whole = SummaryOf(all, kImages);
  const std::vector<uint8_t> state = StateOf(SummaryOf(all.first(13 * kPerImage), 13));
  EXPECT_LT(state.size(), 180u << 10);
  TensorSummary resumed = SummaryOf(all.first(1));  // is replaced
  ByteReader reader(state);
  ASSERT_TRUE(resumed.Restore(reader).ok());
  EXPECT_TRUE(reader.AtEnd());
  EXPECT_EQ(StateOf(resumed), state);
  resumed.Observe(all.subspan(13 * kPerImage), kImages - 13);
  EXPECT_EQ(StateOf(resumed), StateOf(whole));
}

INSTANTIATE_TEST_SUITE_P(Tensors, SummaryOfEvery,
                         testing::ValuesIn(ManyDistributions(kImages* kPerImage, test::Seed())),
                         [](const auto& info) { return info.param.name; });

TEST(TensorSummary, LargeBatchesOverTheirThreadsCountTheSame) {
  // More than a block, a lane's chunk and a thread's least.
  const NamedValues named = ManyDistributions(300'000, test::Seed())[4];
  ThreadPool pool(2);
  ObserveScratch scratch;
  TensorSummary together;
  together.Observe(named.values, 3, scratch, On(pool));
  TensorSummary image_by_image;
  for (int i = 0; i < 3; ++i) {
    image_by_image.Observe(std::span(named.values).subspan(i * 100'000, 100'000), 1, scratch,
                           On(pool));
  }
  EXPECT_EQ(StateOf(together), StateOf(SummaryOf(named.values, 3)));
  EXPECT_EQ(StateOf(together), StateOf(image_by_image));
}

TEST(TensorSummary, CountsWhatIsNotFiniteAndLeavesItOut) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float values[] = {1, std::nanf(""), 2, -kInfinity, kInfinity, -0.5f};
  const TensorSummary summary = SummaryOf(values);
  EXPECT_EQ(summary.count(), 6u);
  EXPECT_EQ(summary.not_finite(), 3u);
  EXPECT_EQ(summary.low(), -0.5f);
  EXPECT_EQ(summary.high(), 2);
  const Status status = summary.Check();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "3 of 6 values are NaN or infinite");

  const TensorSummary none = SummaryOf(std::span(values).subspan(3, 2));
  EXPECT_EQ(none.Check().code(), StatusCode::kInvalidArgument);
  TensorSummary restored;
  const std::vector<uint8_t> state = StateOf(none);
  ByteReader reader(state);
  ASSERT_TRUE(restored.Restore(reader).ok());
  EXPECT_EQ(restored.Check().message(), "2 of 2 values are NaN or infinite");
}

TEST(TensorSummary, NothingSeenIsAFailedPrecondition) {
  EXPECT_EQ(TensorSummary().Check().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(SummaryOf({}).Check().code(), StatusCode::kFailedPrecondition);
}

TEST(TensorSummary, EveryCutOfItsStateIsDataLoss) {
  const std::vector<uint8_t> state =
      StateOf(SummaryOf(ManyDistributions(500, test::Seed())[0].values, 5));
  for (size_t cut = 0; cut < state.size(); ++cut) {
    ByteReader reader(std::span<const uint8_t>(state).first(cut));
    ASSERT_EQ(TensorSummary().Restore(reader).code(), StatusCode::kDataLoss) << cut;
  }
}

// Whatever is restored from damaged bytes is refused or is a state that can be worked with.
TEST(TensorSummary, DamagedStatesAreRefusedOrHarmless) {
  const std::vector<uint8_t> state =
      StateOf(SummaryOf(ManyDistributions(500, test::Seed())[0].values, 5));
  std::mt19937_64 random(test::Seed());
  int refused = 0;
  for (size_t at = 0; at < state.size(); ++at) {
    std::vector<uint8_t> damaged = state;
    damaged[at] ^= static_cast<uint8_t>(1 + random() % 255);
    ByteReader reader(damaged);
    TensorSummary summary;
    const Status status = summary.Restore(reader);
    refused += !status.ok();
    if (!status.ok() || !summary.Check().ok()) continue;
    for (const std::string& method : MethodNames()) {
      const auto range = ChooseRange(method, summary);
      ASSERT_TRUE(range.ok());
      EXPECT_TRUE(std::isfinite(range->low) && std::isfinite(range->high));
    }
  }
  // Most damage shows: the counts have to add up, the extremes to lie in the outermost cells.
  EXPECT_GT(refused, static_cast<int>(state.size()) / 2);
}

}  // namespace
}  // namespace haq::calib
