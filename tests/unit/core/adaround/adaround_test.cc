#include "core/adaround/adaround.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace haq::adaround {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// A problem whose inputs are mixtures of a few sources, as a network's are; targets are the
// sums of the real weights.
struct Maker {
  int64_t groups = 1, inputs = 48, outputs = 12, rows = 5000, train_rows = 4000;
  double step = 0.05;         // of the levels; weights are about 1
  double offset = 0.3;        // the inputs' mean
  double noise = 0.2;         // part of an input that is its own
  std::mt19937_64 random{1};  // how near to the best it comes depends on the problem

  Problem Make() {
    std::normal_distribution<double> normal;
    Problem p;
    p.rows = rows, p.train_rows = train_rows;
    p.groups = groups, p.inputs = inputs, p.outputs = outputs;
    p.scales.assign(outputs, step);
    for (int64_t i = 0; i < outputs * inputs; ++i) p.weight.push_back(float(normal(random)));
    for (int64_t i = 0; i < outputs; ++i) p.bias.push_back(float(normal(random)));
    constexpr int64_t kSources = 6;
    std::vector<double> mix(groups * inputs * kSources);
    for (double& value : mix) value = normal(random) / std::sqrt(double(kSources));
    std::vector<double> source(kSources);
    p.x.resize(groups * rows * inputs);
    for (int64_t g = 0; g < groups; ++g) {
      for (int64_t r = 0; r < rows; ++r) {
        for (double& value : source) value = normal(random);
        for (int64_t k = 0; k < inputs; ++k) {
          double value = offset + noise * normal(random);
          for (int64_t s = 0; s < kSources; ++s) {
            value += mix[(g * inputs + k) * kSources + s] * source[s];
          }
          p.x[(g * rows + r) * inputs + k] = float(value);
        }
      }
    }
    SetTargets(p);
    return p;
  }

  // The sums of the real weights.
  static void SetTargets(Problem& p) {
    p.low.resize(p.rows * p.outputs);
    for (int64_t r = 0; r < p.rows; ++r) {
      for (int64_t o = 0; o < p.outputs; ++o) {
        double sum = p.bias[o];
        for (int64_t k = 0; k < p.inputs; ++k) {
          sum += double(p.weight[o * p.inputs + k]) * XOf(p, r, o)[k];
        }
        p.low[r * p.outputs + o] = float(sum);
      }
    }
    p.target = p.high = p.low;
  }

  static const float* XOf(const Problem& p, int64_t r, int64_t o) {
    return &p.x[(o / (p.outputs / p.groups) * p.rows + r) * p.inputs];
  }
};

// Mean square distance over rows [first, last), summed over the outputs, computed here.
double ErrorOf(const Problem& p, const std::vector<double>& weight, const std::vector<float>& bias,
               int64_t first, int64_t last) {
  double error = 0;
  for (int64_t r = first; r < last; ++r) {
    for (int64_t o = 0; o < p.outputs; ++o) {
      double sum = bias[o];
      for (int64_t k = 0; k < p.inputs; ++k) {
        sum += weight[o * p.inputs + k] * Maker::XOf(p, r, o)[k];
      }
      const double low = p.low[r * p.outputs + o], high = p.high[r * p.outputs + o];
      const double distance = std::max({sum - high, low - sum, 0.0});
      error += distance * distance;
    }
  }
  return error / double(last - first);
}
double JudgedError(const Problem& p, const std::vector<double>& weight,
                   const std::vector<float>& bias) {
  return ErrorOf(p, weight, bias, p.train_rows, p.rows);
}

std::vector<double> Real(const Problem& p, const std::vector<int8_t>& levels) {
  std::vector<double> weight(levels.size());
  for (size_t i = 0; i < levels.size(); ++i) weight[i] = p.scales[i / p.inputs] * levels[i];
  return weight;
}
std::vector<int8_t> Nearest(const Problem& p) {
  std::vector<int8_t> levels(p.weight.size());
  for (size_t i = 0; i < levels.size(); ++i) {
    levels[i] = static_cast<int8_t>(
        std::clamp(std::nearbyint(p.weight[i] / p.scales[i / p.inputs]), -127.0, 127.0));
  }
  return levels;
}

Solution Solve(const Problem& problem, const Options& options = {}, int threads = 1) {
  ThreadPool pool(threads);
  auto solution = Learn(problem, options, pool, {});
  EXPECT_TRUE(solution.ok()) << solution.status().ToString();
  return *std::move(solution);
}

TEST(Learn, BeatsTheNearestLevelsOnCorrelatedInputs) {
  const Problem p = Maker{}.Make();
  const Solution solution = Solve(p);
  const double nearest = JudgedError(p, Real(p, Nearest(p)), p.bias);
  const double learned = JudgedError(p, Real(p, solution.weights), solution.bias);
  EXPECT_LT(learned, 0.4 * nearest);
  EXPECT_NEAR(solution.nearest_error, nearest, 1e-3 * nearest);
  EXPECT_NEAR(solution.error, learned, 1e-3 * learned);
  EXPECT_EQ(solution.learned_outputs, p.outputs);
  EXPECT_EQ(solution.bias, p.bias);
  for (size_t i = 0; i < p.weight.size(); ++i) {
    EXPECT_LT(std::abs(p.weight[i] / p.scales[0] - solution.weights[i]), 1.5) << i;
  }
}

TEST(Learn, ComesNearTheBestOfAllRoundings) {
  Maker maker;
  maker.inputs = 9, maker.outputs = 4;
  const Problem p = maker.Make();
  double best = 0;
  for (int64_t o = 0; o < p.outputs; ++o) {
    Problem one = p;
    one.outputs = 1;
    one.weight.assign(&p.weight[o * p.inputs], &p.weight[o * p.inputs] + p.inputs);
    one.bias = {p.bias[o]}, one.scales = {p.scales[o]};
    for (int64_t r = 0; r < p.rows; ++r) one.low[r] = p.low[r * p.outputs + o];
    one.high = one.low;
    double least = 1e9;
    for (int64_t ups = 0; ups < 1 << p.inputs; ++ups) {
      std::vector<double> weight;
      for (int64_t k = 0; k < p.inputs; ++k) {
        weight.push_back(p.scales[o] * (std::floor(one.weight[k] / p.scales[o]) + (ups >> k & 1)));
      }
      least = std::min(least, ErrorOf(one, weight, one.bias, 0, 500));
    }
    best += least;
  }
  const double nearest = JudgedError(p, Real(p, Nearest(p)), p.bias);
  ASSERT_LT(best, 0.7 * nearest);
  EXPECT_LT(Solve(p).error, best + 0.3 * (nearest - best));
}

TEST(Learn, WeightsOnTheGridStayWhateverTheTargets) {
  Maker maker;
  Problem p = maker.Make();
  const std::vector<int8_t> levels = Nearest(p);
  const std::vector<double> real = Real(p, levels);
  std::copy(real.begin(), real.end(), p.weight.begin());
  for (float& value : p.x) value *= 0.95f;
  Options options;
  for (options.fit_bias = false;; options.fit_bias = true) {
    const Solution solution = Solve(p, options);
    EXPECT_EQ(solution.weights, levels);
    EXPECT_EQ(solution.learned_outputs, 0);
    if (options.fit_bias) break;
  }
}

TEST(Learn, RowsThatTheClampSwallowsDoNotCount) {
  // Two kinds of rows: in one, the second half of the inputs is zero; in the other the clamp
  // swallows whatever comes. So only the first half of the weights matters.
  Maker maker;
  maker.noise = 1;
  Problem p = maker.Make();
  for (int64_t r = 0; r < p.rows; ++r) {
    if (r % 2 == 0) {
      std::fill_n(&p.x[r * p.inputs + p.inputs / 2], p.inputs / 2, 0.0f);
    } else {
      std::fill_n(&p.low[r * p.outputs], p.outputs, -kInfinity);
      std::fill_n(&p.high[r * p.outputs], p.outputs, 1e6f);
    }
  }
  Problem half = p;
  half.inputs /= 2;
  half.weight.clear(), half.x.clear();
  for (int64_t o = 0; o < p.outputs; ++o) {
    half.weight.insert(half.weight.end(), &p.weight[o * p.inputs],
                       &p.weight[o * p.inputs] + half.inputs);
  }
  for (int64_t r = 0; r < p.rows; ++r) {
    half.x.insert(half.x.end(), &p.x[r * p.inputs], &p.x[r * p.inputs] + half.inputs);
  }
  Maker::SetTargets(half);
  for (int64_t r = 0; r < p.rows; r += 2) {
    std::copy_n(&half.low[r * p.outputs], p.outputs, &p.low[r * p.outputs]);
    std::copy_n(&half.low[r * p.outputs], p.outputs, &p.high[r * p.outputs]);
  }
  const Solution solution = Solve(p), alone = Solve(half);
  EXPECT_LT(solution.error, 0.8 * solution.nearest_error);
  EXPECT_NEAR(solution.error, alone.error / 2, 0.15 * alone.error);
}

TEST(Learn, NothingIsLearnedWhereTheNearestLevelsAreInsideTheIntervals) {
  Problem p = Maker{}.Make();
  for (float& low : p.low) low -= 100;
  for (float& high : p.high) high = kInfinity;
  const Solution solution = Solve(p);
  EXPECT_EQ(solution.weights, Nearest(p));
  EXPECT_EQ(solution.learned_outputs, 0);
  EXPECT_EQ(solution.nearest_error, 0);
}

TEST(Learn, TheBiasTakesTheMeanErrorWhereItMay) {
  Maker maker;
  Problem p = maker.Make();
  for (std::vector<float>* ends : {&p.target, &p.low, &p.high}) {
    for (float& end : *ends) end += 0.4f;
  }
  Options options;
  EXPECT_EQ(Solve(p, options).bias, p.bias);
  options.fit_bias = true;
  const Solution solution = Solve(p, options);
  const std::vector<double> weight = Real(p, solution.weights);
  for (int64_t o = 0; o < p.outputs; ++o) {
    double mean = 0;
    for (int64_t r = p.train_rows; r < p.rows; ++r) {
      double sum = solution.bias[o] - p.low[r * p.outputs + o];
      for (int64_t k = 0; k < p.inputs; ++k) {
        sum += weight[o * p.inputs + k] * p.x[r * p.inputs + k];
      }
      mean += sum / double(p.rows - p.train_rows);
    }
    EXPECT_NEAR(mean, 0, 0.03) << o;
  }
  options.steps = 0;
  const Solution bias_alone = Solve(p, options);
  EXPECT_EQ(bias_alone.weights, Nearest(p));
  EXPECT_EQ(bias_alone.learned_outputs, 0);
  EXPECT_LT(bias_alone.error, 0.5 * JudgedError(p, Real(p, bias_alone.weights), p.bias));
  EXPECT_LT(solution.error, 0.6 * bias_alone.error);
}

class EveryShape : public testing::TestWithParam<Maker> {};

TEST_P(EveryShape, TheBitsDoNotDependOnTheThreads) {
  Maker maker = GetParam();
  const Problem p = maker.Make();
  Options options;
  options.fit_bias = true;
  options.steps = 100;
  const Solution once = Solve(p, options, 1);
  EXPECT_GT(once.learned_outputs, 0);
  for (const int threads : {1, 2, 5}) {
    const Solution again = Solve(p, options, threads);
    EXPECT_EQ(again.weights, once.weights) << threads;
    EXPECT_EQ(again.bias, once.bias) << threads;
    EXPECT_EQ(again.error, once.error) << threads;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Learn, EveryShape,
    testing::Values(
        Maker{.inputs = 70, .outputs = 150, .rows = 1300, .train_rows = 1000},
        Maker{.groups = 90, .inputs = 9, .outputs = 90, .rows = 700, .train_rows = 600},
        Maker{.groups = 3, .inputs = 20, .outputs = 12, .rows = 700, .train_rows = 600},
        Maker{.groups = 2, .inputs = 20, .outputs = 200, .rows = 700, .train_rows = 600}));

TEST(Learn, GroupsReadTheirOwnInputs) {
  for (const int64_t outputs : {4, 12}) {  // depthwise, and several outputs of a group
    Maker maker;
    maker.groups = 4, maker.outputs = outputs, maker.inputs = 18;
    const Problem p = maker.Make();
    const Solution solution = Solve(p);
    EXPECT_NEAR(solution.nearest_error, JudgedError(p, Real(p, Nearest(p)), p.bias), 1e-4);
    EXPECT_LT(solution.error, 0.6 * solution.nearest_error);
  }
}

TEST(Learn, OddProblems) {
  Options options;
  for (options.fit_bias = false;; options.fit_bias = true) {
    Maker maker;
    maker.rows = 40, maker.train_rows = 32, maker.outputs = 3;
    Problem zero = maker.Make();
    std::fill(zero.x.begin(), zero.x.end(), 0.0f);        // inputs that are all zero
    std::fill_n(zero.weight.begin(), zero.inputs, 0.0f);  // and a channel of zeros
    Maker::SetTargets(zero);
    EXPECT_EQ(Solve(zero, options).weights, Nearest(zero));
    EXPECT_EQ(Solve(zero, options).bias, zero.bias);

    maker.rows = maker.train_rows = 1;  // one pixel; nothing judges
    const Problem one = maker.Make();
    EXPECT_EQ(Solve(one, options).weights, Nearest(one));
    maker.rows = 2;
    EXPECT_EQ(Solve(maker.Make(), options).weights.size(), one.weight.size());

    maker.rows = 400, maker.train_rows = 320;
    Problem ends = maker.Make();  // weights beyond the last level, targets that are not finite
    for (float& weight : ends.weight) weight *= 100;
    ends.low[7] = ends.high[7] = std::nanf("");
    for (const int8_t level : Solve(ends, options).weights) EXPECT_GE(level, -127);
    if (options.fit_bias) break;
  }
}

TEST(Learn, CancellationEndsIt) {
  const Problem p = Maker{.outputs = 640, .rows = 500, .train_rows = 400}.Make();
  ThreadPool pool(1);
  CancellationToken token;
  const auto cancelled = Learn(p, {}, pool, token, [&](double) { token.Cancel(); });
  EXPECT_EQ(cancelled.status().code(), StatusCode::kCancelled);
  EXPECT_EQ(Learn(p, {}, pool, token).status().code(), StatusCode::kCancelled);
}

TEST(Learn, TellsItsProgress) {
  const Problem p = Maker{.outputs = 640, .rows = 60, .train_rows = 50}.Make();
  Options options;
  options.steps = 1;
  ThreadPool pool(1);
  std::vector<double> shares;
  ASSERT_TRUE(Learn(p, options, pool, {}, [&](double share) { shares.push_back(share); }).ok());
  EXPECT_EQ(shares, (std::vector<double>{0.4, 0.8, 1}));
}

TEST(Learn, AWorkLimitShortensIt) {
  const Problem p = Maker{}.Make();
  Options few, limited;
  few.steps = 60;
  limited.work_limit = 60 * 2 * limited.batch_rows * p.inputs * p.outputs;
  EXPECT_EQ(Solve(p, limited).weights, Solve(p, few).weights);
  EXPECT_NE(Solve(p, limited).weights, Solve(p).weights);
}

TEST(Learn, SizesMustAgree) {
  const Problem good = Maker{.outputs = 4, .rows = 20, .train_rows = 16}.Make();
  ThreadPool pool(1);
  const auto expect_refused = [&](const std::function<void(Problem&)>& change) {
    Problem bad = good;
    change(bad);
    EXPECT_EQ(Learn(bad, {}, pool, {}).status().code(), StatusCode::kInvalidArgument);
  };
  expect_refused([](Problem& p) { p.x.pop_back(); });
  expect_refused([](Problem& p) { p.target.pop_back(); });
  expect_refused([](Problem& p) { p.low.pop_back(); });
  expect_refused([](Problem& p) { p.high.push_back(0); });
  expect_refused([](Problem& p) { p.weight.pop_back(); });
  expect_refused([](Problem& p) { p.scales.pop_back(); });
  expect_refused([](Problem& p) { p.bias.pop_back(); });
  expect_refused([](Problem& p) { p.groups = 3; });
  expect_refused([](Problem& p) { p.train_rows = 21; });
  expect_refused([](Problem& p) { p.train_rows = 0; });
  expect_refused([](Problem& p) { p.scales[1] = 0; });
  expect_refused([](Problem& p) { p.scales[1] = std::nan(""); });
}

}  // namespace
}  // namespace haq::adaround
