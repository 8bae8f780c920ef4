// Pixels -> encoded image, for programs that draw data sets and for tests.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/status.h"
#include "core/data/preprocess.h"

namespace haq::data {

// 8-bit RGB, lossless. kInvalidArgument when the image's size and its bytes do not agree.
Result<std::vector<uint8_t>> EncodePng(const Image& image);
// `quality` 1 .. 100, chroma at half the resolution.
Result<std::vector<uint8_t>> EncodeJpeg(const Image& image, int quality);

}  // namespace haq::data
