#include "tests/support/random_models.h"

#include "tests/support/model_builder.h"

namespace haq::test {
namespace {

// Expand, depthwise, project; with a residual where the shapes agree.
int32_t InvertedResidual(ModelBuilder& b, int32_t input, int32_t expand, int32_t out_channels,
                         int32_t stride) {
  const int32_t in_channels = b.tensor(input).shape[2], hidden = in_channels * expand;
  int32_t x = input;
  if (expand != 1) x = b.Conv(x, {.out_channels = hidden});
  x = b.Conv(
      x, {.out_channels = hidden, .kernel = 3, .stride = stride, .padding = 1, .groups = hidden});
  const bool residual = stride == 1 && in_channels == out_channels;
  return b.Conv(x,
                {.out_channels = out_channels, .relu = false, .residual = residual ? input : -1});
}

}  // namespace

artifact::Model MobileNetV2Like(int32_t image_side, int32_t classes, uint64_t seed) {
  struct Stage {
    int32_t expand, channels, repeats, stride;
  };
  constexpr Stage kStages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                               {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
  ModelBuilder b({image_side, image_side, 3}, seed);
  int32_t x = b.Conv(b.input(), {.out_channels = 32, .kernel = 3, .stride = 2, .padding = 1});
  for (const Stage& stage : kStages) {
    for (int32_t i = 0; i < stage.repeats; ++i) {
      x = InvertedResidual(b, x, stage.expand, stage.channels, i == 0 ? stage.stride : 1);
    }
  }
  x = b.Conv(x, {.out_channels = 1280});
  x = b.GlobalAvgPool(x);
  x = b.Reshape(x, {1280});
  return b.Finish(b.Linear(x, classes));
}

artifact::Model EveryOperator(uint64_t seed) {
  ModelBuilder b({9, 8, 3}, seed);
  int32_t x = b.Pad(b.input(), {1, 0, 0}, {0, 2, 0});              // 10, 10, 3
  x = b.Conv(x, {.out_channels = 12, .kernel = 3, .padding = 1});  // 10, 10, 12
  const int32_t left = b.Conv(
      x,
      {.out_channels = 12, .kernel = 3, .padding = 2, .dilation = 2, .groups = 12, .relu = false});
  const int32_t right = b.Conv(x, {.out_channels = 12, .kernel = 1, .groups = 3});
  x = b.Add(left, b.Table(right));
  x = b.Conv(x, {.out_channels = 12, .relu = false, .residual = left});
  const int32_t pooled = b.MaxPool(x, 3, 2, 1);          // 5, 5, 12
  const int32_t averaged = b.AvgPool(x, 3, 2, 1, true);  // 5, 5, 12
  x = b.Concat({pooled, averaged}, 2);                   // 5, 5, 24
  const int32_t gate = b.GlobalAvgPool(x);               // 1, 1, 24
  x = b.Mul(x, gate);
  x = b.Slice(x, 2, 1, 2, 11);    // 5, 5, 11
  x = b.Transpose(x, {2, 0, 1});  // 11, 5, 5
  x = b.Reshape(x, {275});
  x = b.Linear(x, 10);
  return b.Finish(b.Softmax(x));
}

artifact::Model EveryWideOperator(uint64_t seed) {
  ModelBuilder b({9, 8, 3}, seed, 114, true);
  int32_t x = b.Pad(b.input(), {1, 0, 0}, {0, 2, 0});  // 10, 10, 3
  x = b.Conv(x, {.out_channels = 12, .kernel = 3, .padding = 1, .wide = true});
  const int32_t left = b.Conv(
      x,
      {.out_channels = 12, .kernel = 3, .padding = 2, .dilation = 2, .groups = 12, .relu = false});
  const int32_t right = b.Conv(x, {.out_channels = 12, .kernel = 1, .groups = 3});
  x = b.Add(left, right, true);
  x = b.Conv(right, {.out_channels = 12, .relu = false, .residual = x, .wide = true});
  const int32_t pooled = b.MaxPool(x, 3, 2, 1);          // 5, 5, 12
  const int32_t averaged = b.AvgPool(x, 3, 2, 1, true);  // 5, 5, 12
  x = b.Concat({pooled, averaged}, 2);                   // 5, 5, 24
  x = b.Add(x, b.GlobalAvgPool(x), true);
  x = b.Slice(x, 2, 1, 2, 11);    // 5, 5, 11
  x = b.Transpose(x, {2, 0, 1});  // 11, 5, 5
  x = b.Reshape(x, {275});
  return b.Finish(b.Linear(x, 10, true));
}

}  // namespace haq::test
