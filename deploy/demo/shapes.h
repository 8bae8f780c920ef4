// The ten classes as sets of points in the plane.
#pragma once

#include <array>
#include <string_view>

namespace haq::demo {

enum class Shape {
  kChecker,
  kCircle,
  kCrescent,
  kCross,
  kRing,
  kSpiral,
  kSquare,
  kStar,
  kStripes,
  kTriangle,
};

// By Shape; in alphabetical order, so that the label of a class is the rank of its folder.
inline constexpr std::array<std::string_view, 10> kShapeNames = {
    "checker", "circle", "crescent", "cross",   "ring",
    "spiral",  "square", "star",     "stripes", "triangle"};

// True when (u, v) lies in the shape, which fits into the unit circle. Only operations that IEEE
// 754 rounds the same everywhere.
bool Contains(Shape shape, double u, double v);

// cos and sin of `turns` full turns, to about 1e-9.
struct Direction {
  double cos, sin;
};
Direction DirectionOf(double turns);

}  // namespace haq::demo
