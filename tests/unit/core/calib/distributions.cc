#include "tests/unit/core/calib/distributions.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace haq::calib {

std::vector<NamedValues> ManyDistributions(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  std::exponential_distribution<double> exponential;
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::cauchy_distribution<double> cauchy;
  std::vector<NamedValues> all;
  const auto add = [&](std::string name, const std::function<double()>& draw) {
    NamedValues named{std::move(name), std::vector<float>(count)};
    for (float& value : named.values) value = static_cast<float>(draw());
    all.push_back(std::move(named));
  };
  const auto draw_normal = [&] { return normal(random); };
  const auto sign = [&] { return random() & 1 ? 1 : -1; };

  add("normal", draw_normal);
  add("shifted_normal", [&] { return 0.7 + 2 * normal(random); });
  add("relu", [&] { return std::max(0.0, normal(random)); });
  add("negative_relu", [&] { return std::min(0.0, normal(random)); });
  add("relu6", [&] { return std::clamp(4 * normal(random), 0.0, 6.0); });
  add("silu", [&] {
    const double x = 3 * normal(random);
    return x / (1 + std::exp(-x));
  });
  add("leaky_relu", [&] {
    const double x = normal(random);
    return x > 0 ? x : 0.01 * x;
  });
  add("laplace", [&] { return exponential(random) * sign(); });
  add("exponential", [&] { return exponential(random); });
  add("uniform", [&] { return uniform(random); });
  add("far_from_zero", [&] { return 100 + uniform(random); });
  add("bimodal", [&] { return 5 * sign() + 0.2 * normal(random); });
  add("lopsided_modes", [&] { return random() % 20 ? 0.1 * normal(random) : 8 + normal(random); });
  add("cauchy", [&] { return cauchy(random); });
  add("lognormal", [&] { return std::exp(2 * normal(random)); });
  add("pixels", [&] { return (double(random() % 256) - 127.5) / 127.5; });
  add("integers", [&] { return std::round(20 * normal(random)); });
  add("two_values", [&] { return random() % 3 ? 0.25 : -1.0; });
  add("tiny", [&] { return 1e-20 * normal(random); });
  add("denormal", [&] { return 1e-40 * normal(random); });
  add("huge", [&] { return 1e37 * uniform(random); });
  add("constant", [&] { return 3.25; });
  add("negative_constant", [&] { return -0.1; });
  add("zeros", [&] { return 0.0; });
  add("huge_outlier", draw_normal);
  all.back().values.back() = 1e6f;
  add("sparse_outliers", draw_normal);
  for (size_t i = 0; i < count; i += 5000) all.back().values[i] *= 40;
  add("one_value_not_zero", [&] { return 0.0; });
  all.back().values[count / 2] = 1.5f;
  return all;
}

}  // namespace haq::calib
