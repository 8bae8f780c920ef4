#include "core/quant/corrections.h"

#include <gtest/gtest.h>

namespace haq::quant {
namespace {

TEST(Corrections, FastIsRedistributionAlone) {
  EXPECT_EQ(kDefaultPreset, "fast");
  EXPECT_EQ(*ResolveCorrections("fast", {}), Corrections());
  EXPECT_NE(*ResolveCorrections("best", {}), Corrections());
}

TEST(Corrections, ASwitchThatIsSetWinsOverThePreset) {
  for (const std::string& preset : PresetNames()) {
    for (const bool on : {false, true}) {
      Corrections expected = *ResolveCorrections(preset, {});
      expected.equalize = on;
      EXPECT_EQ(*ResolveCorrections(preset, {{}, on, {}}), expected);
      EXPECT_EQ(*ResolveCorrections(preset, {on, on, on}), (Corrections{on, on, on}));
    }
  }
}

TEST(Corrections, AnUnknownPresetIsAnsweredWithTheList) {
  const Status status = CheckPreset("Fast", "spec.preset");
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "spec.preset: unknown preset \"Fast\"; allowed are fast, best");
  ASSERT_EQ(status.fields().size(), 1u);
  EXPECT_EQ(status.fields()[0].field, "spec.preset");
  EXPECT_EQ(ResolveCorrections("", {}).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace haq::quant
