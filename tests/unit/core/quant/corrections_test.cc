#include "core/quant/corrections.h"

#include <gtest/gtest.h>

namespace haq::quant {
namespace {

constexpr WeightGranularity kWeights = WeightGranularity::kPerChannel;

TEST(Corrections, FastIsRedistributionAlone) {
  EXPECT_EQ(kDefaultPreset, "fast");
  for (const auto weights : {WeightGranularity::kPerChannel, WeightGranularity::kPerTensor}) {
    EXPECT_EQ(*ResolveCorrections("fast", weights, {}), Corrections());
  }
}

TEST(Corrections, BestEqualizesWhereWeightsShareAScale) {
  EXPECT_EQ(*ResolveCorrections("best", WeightGranularity::kPerChannel, {}),
            (Corrections{.bias_correction = true, .equalize = false, .adaround = true}));
  EXPECT_EQ(*ResolveCorrections("best", WeightGranularity::kPerTensor, {}),
            (Corrections{.bias_correction = true, .equalize = true, .adaround = true}));
}

TEST(Corrections, ASwitchThatIsSetWinsOverThePreset) {
  for (const std::string& preset : PresetNames()) {
    for (const bool on : {false, true}) {
      Corrections expected = *ResolveCorrections(preset, kWeights, {});
      expected.equalize = on;
      EXPECT_EQ(*ResolveCorrections(preset, kWeights, {{}, on, {}}), expected);
      EXPECT_EQ(*ResolveCorrections(preset, kWeights, {on, on, on}), (Corrections{on, on, on}));
    }
  }
}

TEST(Corrections, AnUnknownPresetIsAnsweredWithTheList) {
  const Status status = CheckPreset("Fast", "spec.preset");
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "spec.preset: unknown preset \"Fast\"; allowed are fast, best");
  ASSERT_EQ(status.fields().size(), 1u);
  EXPECT_EQ(status.fields()[0].field, "spec.preset");
  EXPECT_EQ(ResolveCorrections("", kWeights, {}).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace haq::quant
