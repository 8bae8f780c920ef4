// One layer's weights as a problem for core/adaround: which rows of its product are looked at, what
// goes in and what should come out. Private to core/pipeline.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/adaround/adaround.h"
#include "core/ir/graph.h"
#include "core/lower/lower.h"

namespace haq::pipeline {

// docs/method.md has what they are worth.
struct RoundingLimits {
  int64_t images = 512;                        // of the calibration set that are looked at
  int64_t rows = 16'384;                       // of one layer: pairs of image and output position
  int64_t input_elements = int64_t{1} << 25;   // of one layer's rows: 128 MiB
  int64_t output_elements = int64_t{1} << 24;  // of one layer's rows: 192 MiB of targets
  size_t target_bytes = size_t{256} << 20;     // of the layers that share an FP32 pass
  size_t prefix_bytes = size_t{256} << 20;     // of one tensor of all images that is kept
};

// A layer of sums in the lowered model and what the learning is to reproduce.
//
// The target is what is stored next: the output with its clamp; where the output goes into an
// addition alone (fused or not) whose other summand is made earlier, the sum.
struct RoundingLayer {
  int sum = -1;                  // of Lowered::sums
  int32_t input = -1;            // tensor
  int32_t summand = -1;          // tensor, or -1
  ir::ValueId target = -1;       // before the clamp
  std::vector<float> low, high;  // by output channel: where what is stored ends
  // Of the product: a linear layer is a 1x1 convolution of a 1x1 image.
  int64_t groups = 1, outputs = 0;
  int64_t in_h = 1, in_w = 1, in_c = 1, out_h = 1, out_w = 1;
  int64_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1,
          top = 0, left = 0;
  int64_t inputs() const { return kernel_h * kernel_w * in_c / groups; }
};
// Nothing for arithmetic per channel, which has one weight and hardly an error.
std::optional<RoundingLayer> DescribeRounding(const ir::Graph& graph, const lower::Lowered& lowered,
                                              int sum);

// Collects the rows of one layer. Which rows depends on the layer and the number of images alone.
class RoundingProblem {
 public:
  RoundingProblem(const RoundingLayer& layer, int64_t images, const RoundingLimits& limits);

  size_t TargetBytes() const { return problem_.rows * layer_.outputs * 3 * sizeof(float); }
  void AllocateTargets();
  void AllocateInputs();

  // The FP32 network's value `layer.target` of one image, [O, H, W]. Threads may add different
  // images at a time, here and below.
  void AddTarget(int64_t image, std::span<const float> value);
  // The integer network's tensors of one image.
  void AddInput(const artifact::Tensor& tensor, int64_t image, std::span<const uint8_t> bytes);
  // After AddTarget.
  void AddSummand(const artifact::Tensor& tensor, int64_t image, std::span<const uint8_t> bytes);

  // Without weights, scales and biases.
  adaround::Problem& problem() { return problem_; }
  const RoundingLayer& layer() const { return layer_; }

 private:
  struct Position {
    int64_t row, y, x;
  };
  std::vector<Position> PositionsOf(int64_t image) const;

  const RoundingLayer layer_;
  const int64_t per_image_;
  std::vector<int32_t> row_of_;  // by image, then in the order of PositionsOf
  adaround::Problem problem_;
};

}  // namespace haq::pipeline
