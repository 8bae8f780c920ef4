// The demo's data set: images of ten shapes, drawn from a seed.
#pragma once

#include <cstdint>
#include <filesystem>

#include "core/base/status.h"
#include "core/data/preprocess.h"
#include "deploy/demo/shapes.h"

namespace haq::demo {

enum class Split { kCalibration, kTest, kTrain };

// "calibration", "test", "train"
const char* SplitName(Split split);

// 32 x 32 pixels. A function of its arguments alone: the same pixels on every machine.
data::Image DrawImage(uint64_t seed, Split split, Shape shape, int index);

// Writes `count` images, in turn of each class, as `folder`/<split>/<class>/<index>.png.
// kAlreadyExists when `folder`/<split> exists; kFailedPrecondition when it cannot be written.
Status DrawSplit(uint64_t seed, Split split, int count, const std::filesystem::path& folder);

}  // namespace haq::demo
