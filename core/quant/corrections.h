// The corrections that a job may apply on top of its ranges, and the presets that switch them:
// names and defaults only. core/pipeline applies them, the server and the client check and explain
// the names.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/quant/params.h"

namespace haq::quant {

inline constexpr std::string_view kDefaultPreset = "fast";

// docs/method.md defines them.
struct Corrections {
  bool bias_correction = false;  // of the mean error of each output channel, in the integer bias
  bool equalize = false;         // cross-layer equalization, before ranges are chosen
  bool adaround = false;         // learned rounding of the weights
  bool operator==(const Corrections&) const = default;
};

// What a job says: a switch that is not set is what the preset says.
struct CorrectionSwitches {
  std::optional<bool> bias_correction, equalize, adaround;
};

// "fast", "best".
std::vector<std::string> PresetNames();
// kInvalidArgument on field `field` lists what exists.
Status CheckPreset(std::string_view preset, std::string_view field = "preset");
// As CheckPreset for an unknown preset.
Result<Corrections> ResolveCorrections(std::string_view preset, WeightGranularity weights,
                                       const CorrectionSwitches& switches);

}  // namespace haq::quant
