// What a JPEG or PNG file says of itself before it is decoded.
#pragma once

#include <cstdint>
#include <span>

#include "core/base/status.h"

namespace haq::data {

enum class ImageFormat { kJpeg, kPng };

struct ImageHeader {
  ImageFormat format;
  uint32_t width = 0, height = 0;  // at least 1
};

// Walks the markers of a JPEG to its end-of-image marker, or the chunks of a PNG to IEND, without
// decoding pixels or allocating. kInvalidArgument: neither format, cut short, or without pixels.
Result<ImageHeader> ReadImageHeader(std::span<const uint8_t> encoded);

}  // namespace haq::data
