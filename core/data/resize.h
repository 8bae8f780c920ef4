// Resampling with integer arithmetic only: the same pixels on every machine. docs/preprocessing.md
// has the definition and how near it comes to what training code computes.
#pragma once

#include <cstdint>
#include <vector>

#include "core/data/preprocess.h"

namespace haq::data {

// Height and width, and a rectangle in it.
struct Size {
  int height = 0, width = 0;
};
struct Box {
  int top = 0, left = 0, height = 0, width = 0;
};

// The pixels (interleaved RGB) that lie in `box` of `image` resized to `size`; only they are
// computed. `image` is not empty and `box` lies in `size`.
std::vector<uint8_t> ResizedBox(const Image& image, Size size, Box box,
                                Interpolation interpolation);

}  // namespace haq::data
