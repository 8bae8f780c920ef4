#include "core/quant/corrections.h"

#include <algorithm>

namespace haq::quant {
namespace {

struct Preset {
  std::string_view name;
  Corrections per_channel, per_tensor;
};

// The one table of presets. Equalization is for weights that share a scale: where every channel has
// its own it is worth little, and costs more than that where calibration saw few images, because
// it brings every channel up to the end of the range that those images gave.
constexpr Preset kPresets[] = {
    {"fast", {}, {}},
    {"best",
     {.bias_correction = true, .adaround = true},
     {.bias_correction = true, .equalize = true, .adaround = true}},
};

Result<Preset> FindPreset(std::string_view preset, std::string_view field) {
  const auto* const found =
      std::find_if(std::begin(kPresets), std::end(kPresets),
                   [&](const Preset& candidate) { return candidate.name == preset; });
  if (found != std::end(kPresets)) return *found;
  return InvalidField(std::string(field), "unknown preset \"{}\"; allowed are {}", preset,
                      fmt::join(PresetNames(), ", "));
}

}  // namespace

std::vector<std::string> PresetNames() {
  std::vector<std::string> names;
  for (const Preset& preset : kPresets) names.emplace_back(preset.name);
  return names;
}

Status CheckPreset(std::string_view preset, std::string_view field) {
  return FindPreset(preset, field).status();
}

Result<Corrections> ResolveCorrections(std::string_view preset, WeightGranularity weights,
                                       const CorrectionSwitches& switches) {
  HAQ_ASSIGN_OR_RETURN(const Preset found, FindPreset(preset, "preset"));
  const Corrections& of_preset =
      weights == WeightGranularity::kPerTensor ? found.per_tensor : found.per_channel;
  return Corrections{switches.bias_correction.value_or(of_preset.bias_correction),
                     switches.equalize.value_or(of_preset.equalize),
                     switches.adaround.value_or(of_preset.adaround)};
}

}  // namespace haq::quant
