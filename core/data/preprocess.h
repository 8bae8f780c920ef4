// Preprocessing: encoded or decoded image -> the float tensor that the network was trained on. The
// JSON form travels with the model; docs/preprocessing.md describes it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace haq::data {

// A decoded image: interleaved 8-bit RGB, rows without padding.
struct Image {
  int width = 0, height = 0;
  std::vector<uint8_t> rgb;  // height * width * 3
};

struct DecodeLimits {
  uint64_t max_encoded_bytes = 64 << 20;
  uint64_t max_pixels = 100'000'000;
};

// JPEG or PNG (told by content), EXIF orientation ignored as torchvision does, grey and palette
// become RGB, alpha is dropped. kInvalidArgument: neither, damaged, or a size over the limits,
// found from the header before anything is allocated.
Result<Image> DecodeImage(std::span<const uint8_t> encoded, const DecodeLimits& limits = {});

enum class Interpolation { kBilinear, kBicubic, kNearest };
enum class ColorOrder { kRgb, kBgr, kGray };

// Every step is optional. Order: resize, centre crop, colour, (pixel * scale - mean) / std.
struct Preprocess {
  std::optional<int> shorter_side;                         // resize keeping the aspect ratio ...
  std::optional<std::array<int, 2>> resize_to;             // ... or to exactly [height, width]
  Interpolation interpolation = Interpolation::kBilinear;  // shrinking antialiases
  std::optional<std::array<int, 2>> center_crop;           // [height, width]
  ColorOrder color = ColorOrder::kRgb;
  double scale = 1.0 / 255;
  std::vector<double> mean{0, 0, 0}, std{1, 1, 1};  // one value a channel of `color`

  // "{}" is all defaults. kInvalidArgument names the key, what was found and what is allowed;
  // unknown keys are errors.
  static Result<Preprocess> FromJson(std::string_view json);
  std::string ToJson() const;
};

// What FromJson checks of the values (sides from 1 to 65535, one mean and std a channel, std
// greater than 0, everything finite), for a Preprocess that was made otherwise. Apply checks it
// too.
Status Validate(const Preprocess& preprocess);

// Fills `output` [C, H, W]; `shape` is what the network takes. kInvalidArgument when the image,
// after resize and crop, is not of that shape; the message says both. The values are the same on
// every machine.
Status Apply(const Preprocess& preprocess, const Image& image, const std::vector<int64_t>& shape,
             std::span<float> output);

}  // namespace haq::data
