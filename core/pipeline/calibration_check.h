// What is odd about the images of a calibration: it works, but the user should know. Private to
// core/pipeline.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/byte_io.h"
#include "core/base/sha256.h"
#include "core/calib/calibrator.h"
#include "core/ir/graph.h"
#include "core/lower/lower.h"

namespace haq::pipeline {

// Fewer images than this leave a range to chance; 100 and more are usual.
inline constexpr int64_t kFewCalibrationImages = 10;

// Whether all images of a stream are the same to the network.
class ImageVariety {
 public:
  // `input` is n preprocessed images.
  void Add(int64_t n, std::span<const float> input);
  bool all_the_same() const { return seen_ && !varied_; }

  void Save(ByteWriter& writer) const;
  void Restore(ByteReader& reader);

 private:
  bool seen_ = false, varied_ = false;
  Sha256Digest first_{};
};

// One sentence each: few images, all the same, tensors that had one value only.
std::vector<std::string> CalibrationWarnings(const ir::Graph& graph,
                                             const calib::Calibrator& calibrator,
                                             const lower::Lowered& lowered,
                                             const ImageVariety& variety);

}  // namespace haq::pipeline
