#include "server/worker/options.h"

#include <gtest/gtest.h>

namespace haq::server::worker {
namespace {

TEST(OptionsOf, WhatIsLeftOutIsThePipelinesDefault) {
  const pipeline::Options options = OptionsOf({});
  EXPECT_EQ(options.method, "redistribution");
  EXPECT_EQ(options.scheme, "hybrid");
  EXPECT_EQ(options.weights, "per_channel");
  EXPECT_EQ(options.preset, "fast");
  EXPECT_FALSE(options.bias_correction || options.equalize || options.adaround);
  EXPECT_FALSE(options.compare_speed);
  EXPECT_EQ(options.wide_count, 0);
  EXPECT_TRUE(options.wide_tensors.empty());
}

TEST(OptionsOf, CarriesEveryChoice) {
  haq::v1::CalibrationSpec spec;
  spec.set_method("kl");
  spec.set_scheme("symmetric");
  spec.set_weights("per_tensor");
  spec.set_preset("best");
  spec.set_bias_correction(false);
  spec.set_equalize(true);
  spec.set_wide_count(3);
  spec.add_wide_tensors("a");
  spec.add_wide_tensors("b");
  spec.set_not_slower(true);
  spec.set_limit_calibration(10);
  spec.set_limit_evaluation(20);
  const pipeline::Options options = OptionsOf(spec);
  EXPECT_EQ(options.method, "kl");
  EXPECT_EQ(options.scheme, "symmetric");
  EXPECT_EQ(options.weights, "per_tensor");
  EXPECT_EQ(options.preset, "best");
  EXPECT_EQ(options.bias_correction, std::optional<bool>(false)) << "off is not the same as unset";
  EXPECT_EQ(options.equalize, std::optional<bool>(true));
  EXPECT_EQ(options.adaround, std::nullopt);
  EXPECT_EQ(options.wide_count, 3);
  EXPECT_EQ(options.wide_tensors, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(options.compare_speed);
  EXPECT_EQ(options.limit_calibration, 10);
  EXPECT_EQ(options.limit_evaluation, 20);
}

}  // namespace
}  // namespace haq::server::worker
