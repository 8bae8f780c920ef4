#include "core/calib/cells.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/calib/cell_loops.h"
#include "tests/support/seed.h"
#include "tests/unit/core/calib/distributions.h"

namespace haq::calib {
namespace {

constexpr float kLargest = std::numeric_limits<float>::max();
constexpr float kDenormal = std::numeric_limits<float>::denorm_min();

TEST(CellGrid, ExponentIsTheSmallestThatEncloses) {
  EXPECT_EQ(CellGrid::ExponentFor(0.75f), 0);
  EXPECT_EQ(CellGrid::ExponentFor(1), 1);
  EXPECT_EQ(CellGrid::ExponentFor(-6), 3);
  EXPECT_EQ(CellGrid::ExponentFor(kLargest), CellGrid::kLargestExponent);
  EXPECT_EQ(CellGrid::ExponentFor(0), CellGrid::kSmallestExponent);
  EXPECT_EQ(CellGrid::ExponentFor(-0.0f), CellGrid::kSmallestExponent);
  EXPECT_EQ(CellGrid::ExponentFor(kDenormal), CellGrid::kSmallestExponent);
}

TEST(CellGrid, EdgesBelongToTheCellTheyBegin) {
  for (const int exponent : {CellGrid::kSmallestExponent, -3, 0, 5, CellGrid::kLargestExponent}) {
    const CellGrid grid(exponent);
    EXPECT_EQ(grid.LowerEdge(CellGrid::kSideCells), std::ldexp(1.0, exponent));
    for (int i = 0; i < CellGrid::kSideCells; ++i) {
      const auto edge = static_cast<float>(grid.LowerEdge(i));
      ASSERT_EQ(double(edge), grid.LowerEdge(i));
      ASSERT_EQ(grid.IndexOf(edge), i);
      ASSERT_LT(grid.LowerEdge(i), grid.LowerEdge(i + 1));
      const double next = grid.LowerEdge(i + 1);
      if (next > kLargest) continue;
      const float last = std::nextafter(static_cast<float>(next), 0.0f);
      ASSERT_EQ(grid.IndexOf(last), i);
      ASSERT_EQ(grid.IndexOf(-last), CellGrid::kSideCells + i);
    }
  }
}

TEST(CellGrid, ZeroOfEitherSignIsInTheFirstCell) {
  const CellGrid grid(4);
  EXPECT_EQ(grid.IndexOf(0.0f), 0);
  EXPECT_EQ(grid.IndexOf(-0.0f), 0);
  EXPECT_EQ(grid.IndexOf(kDenormal), 0);
  EXPECT_EQ(grid.IndexOf(-kDenormal), CellGrid::kSideCells);
}

TEST(CellGrid, CellsAreUnionsOfFinerCells) {
  for (const int step : {1, 2, 9, 40}) {
    const CellGrid fine(-7), coarse(-7 + step);
    for (int i = 0; i < CellGrid::kSideCells; ++i) {
      const double begin = fine.LowerEdge(i);
      const float last = std::nextafter(static_cast<float>(fine.LowerEdge(i + 1)), 0.0f);
      ASSERT_EQ(coarse.IndexOf(static_cast<float>(begin)), coarse.IndexOf(last));
    }
  }
}

TEST(CellGrid, ValuesLieInTheirCells) {
  for (const NamedValues& named : ManyDistributions(1003, test::Seed())) {
    SCOPED_TRACE(named.name);
    const CellGrid grid(ExponentForFinite(named.values));
    for (const float value : named.values) {
      const int index = grid.IndexOf(value);
      const bool negative = index >= CellGrid::kSideCells;
      ASSERT_EQ(negative, value < 0);
      const int magnitude = index - (negative ? CellGrid::kSideCells : 0);
      ASSERT_LE(grid.LowerEdge(magnitude), std::abs(value));
      ASSERT_GT(grid.LowerEdge(magnitude + 1), std::abs(value));
    }
  }
}

// One value after the other, into one array.
struct Expected {
  Tally tally;
  std::vector<uint64_t> counts = std::vector<uint64_t>(CellGrid::kCells);

  Expected(std::span<const float> values, const CellGrid& grid) {
    for (const float value : values) {
      tally.Append({1, value == 0, value, value});
      ++counts[grid.IndexOf(value)];
    }
  }
};

class LoopsTest : public testing::Test {
 protected:
  // Of the counters after that many counts of `values`.
  std::vector<uint64_t> Flushed(const internal::Loops& loops) {
    std::vector<uint64_t> counts(CellGrid::kCells);
    loops.flush(lanes_.data(), counts.data(), counts.size());
    for (int lane = 0; lane < internal::kLanes; ++lane) {
      const auto* const begin = lanes_.data() + lane * internal::kLaneStride;
      EXPECT_EQ(std::count(begin, begin + CellGrid::kCells, 0u), CellGrid::kCells);
    }
    return counts;
  }

  std::vector<uint32_t> lanes_ = std::vector<uint32_t>(internal::kLanes * internal::kLaneStride);
};

TEST_F(LoopsTest, CountWhatOneByOneCounts) {
  for (const NamedValues& named : ManyDistributions(1003, test::Seed())) {
    SCOPED_TRACE(named.name);
    const CellGrid grid(ExponentForFinite(named.values));
    for (const size_t size : {1, 5, 16, 255, 256, 257, 511, 1003}) {
      const auto values = std::span(named.values).first(size);
      const Expected expected(values, grid);
      for (const internal::Loops& loops : internal::SupportedLoops()) {
        SCOPED_TRACE(loops.instruction_set);
        const Tally tally =
            loops.count(values.data(), values.size(), grid.constants(), lanes_.data());
        ASSERT_EQ(tally.size, size);
        ASSERT_EQ(tally.zeros, expected.tally.zeros);
        ASSERT_EQ(tally.low, expected.tally.low);
        ASSERT_EQ(tally.high, expected.tally.high);
        ASSERT_EQ(Flushed(loops), expected.counts);
      }
    }
  }
}

TEST_F(LoopsTest, StopInFrontOfTheChunkThatDoesNotFit) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr size_t kChunk = LaneCounters::kChunk;
  const CellGrid grid(3);
  for (const internal::Loops& loops : internal::SupportedLoops()) {
    SCOPED_TRACE(loops.instruction_set);
    for (const float bad : {8.0f, -8.0f, kInfinity, -kInfinity, std::nanf(""), -std::nanf("")}) {
      for (const size_t at : {size_t{0}, kChunk - 1, kChunk, 2 * kChunk + 37, 3 * kChunk + 4}) {
        std::vector<float> values(3 * kChunk + 5, 1.5f);
        values[0] = -7.5f;
        values[at] = bad;
        const Tally tally =
            loops.count(values.data(), values.size(), grid.constants(), lanes_.data());
        const size_t counted = at / kChunk * kChunk;
        ASSERT_EQ(tally.size, counted);
        const Expected expected(std::span<const float>(values).first(counted), grid);
        ASSERT_EQ(tally.low, expected.tally.low);
        ASSERT_EQ(tally.high, expected.tally.high);
        ASSERT_EQ(Flushed(loops), expected.counts);
      }
    }
  }
}

TEST_F(LoopsTest, ZeroHasNoSign) {
  const float zeros[] = {-0.0f, -0.0f, 0.0f};
  for (const internal::Loops& loops : internal::SupportedLoops()) {
    SCOPED_TRACE(loops.instruction_set);
    const Tally tally = loops.count(zeros, 3, CellGrid(0).constants(), lanes_.data());
    EXPECT_EQ(tally.zeros, 3u);
    EXPECT_FALSE(std::signbit(tally.low));
    EXPECT_FALSE(std::signbit(tally.high));
    EXPECT_EQ(Flushed(loops)[0], 3u);
  }
}

TEST_F(LoopsTest, HoldTheLargestValues) {
  const float values[] = {-kLargest, kDenormal, kLargest, -kDenormal};
  const CellGrid grid(CellGrid::kLargestExponent);
  const Expected expected(values, grid);
  for (const internal::Loops& loops : internal::SupportedLoops()) {
    SCOPED_TRACE(loops.instruction_set);
    EXPECT_EQ(loops.count(values, 4, grid.constants(), lanes_.data()).size, 4u);
    EXPECT_EQ(Flushed(loops), expected.counts);
  }
}

TEST_F(LoopsTest, LargestFiniteLeavesOutWhatIsNotFinite) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const internal::Loops& loops : internal::SupportedLoops()) {
    SCOPED_TRACE(loops.instruction_set);
    EXPECT_EQ(loops.largest_finite(nullptr, 0), 0);
    for (const size_t size : {5, 64, 77}) {
      std::vector<float> values(size, -kInfinity);
      EXPECT_EQ(loops.largest_finite(values.data(), size), 0);
      values[0] = -std::nanf("");
      values[size / 2] = 1;
      values[size - 1] = -5;
      EXPECT_EQ(loops.largest_finite(values.data(), size), 5);
      values[1] = kLargest;
      EXPECT_EQ(loops.largest_finite(values.data(), size), kLargest);
    }
  }
}

TEST(CellCounts, GrowingIsTheSameAsHavingStartedLarge) {
  for (const NamedValues& named : ManyDistributions(5000, test::Seed())) {
    SCOPED_TRACE(named.name);
    CellCounts grown, direct;
    direct.GrowTo(CellGrid::kLargestExponent);
    LaneCounters lanes;
    for (const float value : named.values) {
      const int exponent = CellGrid::ExponentFor(value);
      if (grown.counts().empty() || exponent > grown.grid().exponent()) {
        lanes.FlushInto(grown);
        grown.GrowTo(exponent);
      }
      ASSERT_EQ(lanes.Count({&value, 1}, grown.grid()).size, 1u);
    }
    lanes.FlushInto(grown);
    grown.GrowTo(CellGrid::kLargestExponent);
    ASSERT_EQ(lanes.Count(named.values, direct.grid()).size, named.values.size());
    lanes.FlushInto(direct);
    EXPECT_TRUE(std::ranges::equal(grown.counts(), direct.counts()));
  }
}

}  // namespace
}  // namespace haq::calib
