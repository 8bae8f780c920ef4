#include "deploy/demo/canvas.h"

#include <algorithm>
#include <cmath>

namespace haq::demo {
namespace {

// Samples a pixel is judged by, along each side.
constexpr int kSamples = 3;

}  // namespace

void Canvas::FillGradient(const Color& from, const Color& to, double turns) {
  const Direction direction = DirectionOf(turns);
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      const double along =
          ((x + 0.5 - kSide / 2) * direction.cos + (y + 0.5 - kSide / 2) * direction.sin) / kSide;
      const double share = std::clamp(along + 0.5, 0.0, 1.0);
      for (int c = 0; c < 3; ++c) {
        pixels_[y * kSide + x][c] = from[c] + (to[c] - from[c]) * share;
      }
    }
  }
}

void Canvas::Paint(Shape shape, const Placement& placement, const Color& color, double opacity) {
  const Direction direction = DirectionOf(placement.turns);
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      int covered = 0;
      for (int sample = 0; sample < kSamples * kSamples; ++sample) {
        const double dx = x + (sample % kSamples + 0.5) / kSamples - placement.x;
        const double dy = y + (sample / kSamples + 0.5) / kSamples - placement.y;
        const double u = (dx * direction.cos + dy * direction.sin) / placement.radius_u;
        const double v = (dy * direction.cos - dx * direction.sin) / placement.radius_v;
        covered += u * u + v * v < 2 && Contains(shape, u, v);
      }
      const double share = opacity * covered / (kSamples * kSamples);
      Color& pixel = pixels_[y * kSide + x];
      for (int c = 0; c < 3; ++c) pixel[c] += (color[c] - pixel[c]) * share;
    }
  }
}

void Canvas::AddNoise(Random& random, double deviation) {
  for (Color& pixel : pixels_) {
    for (double& value : pixel) value += deviation * random.Bell();
  }
}

data::Image Canvas::ToImage() const {
  data::Image image{kSide, kSide, {}};
  image.rgb.reserve(pixels_.size() * 3);
  for (const Color& pixel : pixels_) {
    for (const double value : pixel) {
      image.rgb.push_back(static_cast<uint8_t>(std::clamp(std::floor(value + 0.5), 0.0, 255.0)));
    }
  }
  return image;
}

}  // namespace haq::demo
