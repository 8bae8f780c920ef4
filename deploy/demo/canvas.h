// A small RGB picture that shapes are painted on.
#pragma once

#include <array>
#include <vector>

#include "core/data/preprocess.h"
#include "deploy/demo/random.h"
#include "deploy/demo/shapes.h"

namespace haq::demo {

using Color = std::array<double, 3>;  // 0 .. 255

// Where a shape lies: `radius_u` and `radius_v` are half its size in pixels before it is turned.
struct Placement {
  double x = 0, y = 0;
  double radius_u = 1, radius_v = 1;
  double turns = 0;
};

class Canvas {
 public:
  static constexpr int kSide = 32;

  // From one colour to another along a random direction.
  void FillGradient(const Color& from, const Color& to, double turns);
  // Blends `color` in by `opacity` times the part of each pixel that the shape covers.
  void Paint(Shape shape, const Placement& placement, const Color& color, double opacity);
  void AddNoise(Random& random, double deviation);

  data::Image ToImage() const;

 private:
  std::vector<Color> pixels_ = std::vector<Color>(kSide * kSide);
};

}  // namespace haq::demo
