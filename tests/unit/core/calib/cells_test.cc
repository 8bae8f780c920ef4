#include "core/calib/cells.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

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

TEST(CellGrid, ManyIndicesAtOnceAreTheSameAsOneByOne) {
  for (const NamedValues& named : ManyDistributions(1003, test::Seed())) {
    SCOPED_TRACE(named.name);
    float largest = 0;
    for (const float value : named.values) largest = std::max(largest, std::abs(value));
    const CellGrid grid(CellGrid::ExponentFor(largest));
    std::vector<int32_t> indices(named.values.size());
    grid.IndicesOf(named.values, indices.data());
    for (size_t i = 0; i < indices.size(); ++i) {
      ASSERT_EQ(indices[i], grid.IndexOf(named.values[i]));
      const bool negative = indices[i] >= CellGrid::kSideCells;
      ASSERT_EQ(negative, named.values[i] < 0);
      const int magnitude = indices[i] - (negative ? CellGrid::kSideCells : 0);
      ASSERT_LE(grid.LowerEdge(magnitude), std::abs(named.values[i]));
      ASSERT_GT(grid.LowerEdge(magnitude + 1), std::abs(named.values[i]));
    }
  }
}

TEST(ScanValues, FindsExtremesZerosAndWhatIsNotFinite) {
  const float values[] = {-0.0f, 3, -2.5f, 0, 7, 1};
  const Scan scan = ScanValues(values);
  EXPECT_TRUE(scan.AllFinite());
  EXPECT_EQ(scan.low(), -2.5f);
  EXPECT_EQ(scan.high(), 7);
  EXPECT_EQ(scan.zeros, 2u);
  EXPECT_FALSE(std::signbit(ScanValues(std::span(values).first(1)).low()));
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float bad : {kInfinity, -kInfinity, std::nanf(""), -std::nanf("")}) {
    for (size_t at = 0; at < 70; ++at) {
      std::vector<float> many(70, 1);
      many[at] = bad;
      EXPECT_FALSE(ScanValues(many).AllFinite());
    }
  }
  const float extremes[] = {-kLargest, kLargest};
  EXPECT_TRUE(ScanValues(extremes).AllFinite());
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
      lanes.Count({&value, 1}, value, value, grown.grid());
    }
    lanes.FlushInto(grown);
    grown.GrowTo(CellGrid::kLargestExponent);
    const Scan scan = ScanValues(named.values);
    lanes.Count(named.values, scan.low(), scan.high(), direct.grid());
    lanes.FlushInto(direct);
    EXPECT_TRUE(std::ranges::equal(grown.counts(), direct.counts()));
  }
}

}  // namespace
}  // namespace haq::calib
