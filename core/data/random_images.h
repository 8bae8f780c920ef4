// Images made of nothing, for speed tests of networks without a data set.
#pragma once

#include <cstdint>
#include <memory>

#include "core/data/dataset.h"

namespace haq::data {

// `count` unlabelled images of smooth colours and noise, every one different, the same on every
// machine. Keys are "random/0" and so on.
std::unique_ptr<SampleReader> RandomImages(int64_t count, int width, int height);

}  // namespace haq::data
