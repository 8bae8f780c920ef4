#include "deploy/demo/shapes.h"

#include <algorithm>
#include <cmath>

namespace haq::demo {
namespace {

constexpr double kPi = 3.141592653589793;

// Taylor's series; libm's functions differ in their last bits between machines.
double SineOfSmall(double x) {
  const double y = x * x;
  return x *
         (1 + y * (-1.0 / 6 + y * (1.0 / 120 + y * (-1.0 / 5040 +
                                                    y * (1.0 / 362880 + y * (-1.0 / 39916800))))));
}

double SineOfTurns(double turns) {
  double t = turns - std::floor(turns);  // [0, 1)
  double sign = 1;
  if (t >= 0.5) {
    t -= 0.5;
    sign = -1;
  }
  if (t > 0.25) t = 0.5 - t;
  return sign * SineOfSmall(t * 2 * kPi);
}

// The angle of (u, v) in turns, [0, 1), to about 1e-4.
double TurnsOf(double u, double v) {
  const double a = std::fabs(u), b = std::fabs(v);
  const double ratio = std::min(a, b) / std::max(std::max(a, b), 1e-12);
  const double y = ratio * ratio;
  const double radians =
      ratio * (0.9998660 + y * (-0.3302995 + y * (0.1801410 + y * (-0.0851330 + y * 0.0208351))));
  double turns = radians / (2 * kPi);
  if (b > a) turns = 0.25 - turns;
  if (u < 0) turns = 0.5 - turns;
  if (v < 0) turns = 1 - turns;
  return turns;
}

double Fraction(double x) { return x - std::floor(x); }

// A star with `points` points whose inner corners lie at `inner`; a triangle is one with 3 and 1/2.
bool InStar(double u, double v, int points, double inner) {
  const double radius = std::sqrt(u * u + v * v);
  // Fold the plane onto the half sector between a point and the next inner corner.
  const double sector = 0.5 / points;
  double turns = std::fmod(TurnsOf(u, v), 2 * sector);
  turns = std::min(turns, 2 * sector - turns);
  const Direction at = DirectionOf(turns), corner = DirectionOf(sector);
  const double x = radius * at.cos, y = radius * at.sin;
  // Left of the edge from (1, 0) to the inner corner.
  const double edge_x = inner * corner.cos - 1, edge_y = inner * corner.sin;
  return edge_x * y - edge_y * (x - 1) >= 0;
}

}  // namespace

Direction DirectionOf(double turns) { return {SineOfTurns(turns + 0.25), SineOfTurns(turns)}; }

bool Contains(Shape shape, double u, double v) {
  const double square = std::max(std::fabs(u), std::fabs(v));
  const double radius2 = u * u + v * v;
  switch (shape) {
    case Shape::kChecker:
      return square < 0.8 &&
             (static_cast<int>(std::floor(u / 0.4)) + static_cast<int>(std::floor(v / 0.4))) % 2 ==
                 0;
    case Shape::kCircle:
      return radius2 < 0.85 * 0.85;
    case Shape::kCrescent:
      return radius2 < 0.92 * 0.92 && (u - 0.42) * (u - 0.42) + v * v > 0.68 * 0.68;
    case Shape::kCross:
      return square < 0.88 && std::min(std::fabs(u), std::fabs(v)) < 0.27;
    case Shape::kRing:
      return radius2 < 0.9 * 0.9 && radius2 > 0.5 * 0.5;
    case Shape::kSpiral:
      return radius2 < 0.95 * 0.95 && Fraction(std::sqrt(radius2) * 1.9 - TurnsOf(u, v)) < 0.5;
    case Shape::kSquare:
      return square < 0.72;
    case Shape::kStar:
      return InStar(u, v, 5, 0.42);
    case Shape::kStripes:
      return square < 0.8 && Fraction(u / 0.64 + 0.25) < 0.5;
    case Shape::kTriangle:
      return InStar(u, v, 3, 0.5);
  }
  return false;
}

}  // namespace haq::demo
