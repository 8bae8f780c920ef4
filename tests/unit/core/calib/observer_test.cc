#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "core/calib/minmax.h"
#include "core/calib/observer.h"

namespace haq::calib {
namespace {

std::vector<float> RandomValues(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.3f, 2);
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

std::vector<uint8_t> StateOf(const Observer& observer) {
  ByteWriter writer;
  observer.Save(writer);
  return writer.Take();
}

class EveryMethod : public testing::TestWithParam<std::string> {};

TEST_P(EveryMethod, CutsIntoBatchesAndShardsDoNotMatter) {
  const std::vector<float> values = RandomValues(10000, 3);
  const std::span<const float> all(values);
  const auto whole = MakeObserver(GetParam());
  whole->Observe(all);

  const auto pieces = MakeObserver(GetParam());
  for (size_t at = 0; at < values.size(); at += 1234) {
    pieces->Observe(all.subspan(at, std::min<size_t>(1234, values.size() - at)));
  }
  EXPECT_EQ(StateOf(*whole), StateOf(*pieces));

  const auto left = MakeObserver(GetParam()), right = MakeObserver(GetParam());
  left->Observe(all.first(4000));
  right->Observe(all.subspan(4000));
  ASSERT_TRUE(left->Merge(*right).ok());
  EXPECT_EQ(StateOf(*whole), StateOf(*left));
  EXPECT_EQ(*whole->ChooseRange(), *left->ChooseRange());
}

TEST_P(EveryMethod, StateSurvivesACheckpointAndItsCuts) {
  const auto observer = MakeObserver(GetParam());
  observer->Observe(RandomValues(1000, 5));
  const std::vector<uint8_t> state = StateOf(*observer);
  const auto restored = MakeObserver(GetParam());
  ByteReader reader(state);
  ASSERT_TRUE(restored->Restore(reader).ok());
  EXPECT_EQ(StateOf(*restored), state);
  EXPECT_EQ(*restored->ChooseRange(), *observer->ChooseRange());
  for (size_t cut = 0; cut < state.size(); ++cut) {
    ByteReader short_reader(std::span(state).first(cut));
    EXPECT_EQ(MakeObserver(GetParam())->Restore(short_reader).code(), StatusCode::kDataLoss);
  }
}

TEST_P(EveryMethod, NothingSeenAndNotFiniteAreErrors) {
  const auto observer = MakeObserver(GetParam());
  EXPECT_EQ(observer->ChooseRange().status().code(), StatusCode::kFailedPrecondition);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity()}) {
    const auto other = MakeObserver(GetParam());
    const float values[] = {1, bad, 2};
    other->Observe(values);
    EXPECT_EQ(other->ChooseRange().status().code(), StatusCode::kInvalidArgument);
    EXPECT_NE(other->ChooseRange().status().message().find("1 of 3"), std::string::npos);
  }
}

INSTANTIATE_TEST_SUITE_P(Methods, EveryMethod, testing::ValuesIn(MethodNames()));

TEST(MinMax, IsTheSmallestAndTheLargest) {
  MinMaxObserver observer;
  const float first[] = {1, -2, 3}, second[] = {0.5f, -7};
  observer.Observe(first);
  observer.Observe(second);
  EXPECT_EQ(*observer.ChooseRange(), (quant::Range{-7, 3}));
}

TEST(CheckMethod, NamesWhatExists) {
  EXPECT_TRUE(CheckMethod("minmax").ok());
  const Status status = CheckMethod("magic");
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "method: unknown method \"magic\"; allowed are minmax");
}

}  // namespace
}  // namespace haq::calib
