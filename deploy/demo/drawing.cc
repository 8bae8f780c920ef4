#include "deploy/demo/drawing.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <system_error>
#include <vector>

#include "core/data/encode.h"
#include "deploy/demo/canvas.h"
#include "deploy/demo/random.h"

namespace haq::demo {
namespace {

namespace fs = std::filesystem;

constexpr double kSide = Canvas::kSide;
// Colours of shape and background are at least this far apart (in the sum over channels).
constexpr double kLeastContrast = 110;

Color RandomColor(Random& random) {
  Color color;
  for (double& value : color) value = random.Between(0, 255);
  return color;
}

double Contrast(const Color& a, const Color& b) {
  double sum = 0;
  for (int c = 0; c < 3; ++c) sum += std::fabs(a[c] - b[c]);
  return sum;
}

Color ContrastingColor(Random& random, const Color& a, const Color& b) {
  while (true) {
    const Color color = RandomColor(random);
    if (std::min(Contrast(color, a), Contrast(color, b)) > kLeastContrast) return color;
  }
}

// Small pieces of other things, behind and before the shape.
void PaintClutter(Canvas& canvas, Random& random, int pieces, double largest) {
  constexpr Shape kPieces[] = {Shape::kCircle, Shape::kSquare, Shape::kTriangle};
  for (int i = 0; i < pieces; ++i) {
    const Shape shape = kPieces[random.Below(3)];
    Placement placement;
    placement.x = random.Between(0, kSide);
    placement.y = random.Between(0, kSide);
    placement.radius_u = random.Between(1, largest);
    placement.radius_v = random.Between(1, largest);
    placement.turns = random.Between(0, 1);
    const Color color = RandomColor(random);
    canvas.Paint(shape, placement, color, random.Between(0.4, 1));
  }
}

Placement RandomPlacement(Random& random) {
  Placement placement;
  const double radius = random.Between(7.5, 14);
  const double stretch = random.Between(0.82, 1.2);
  placement.radius_u = radius * stretch;
  placement.radius_v = radius / stretch;
  placement.x = kSide / 2 + random.Between(-1, 1) * (17 - radius);
  placement.y = kSide / 2 + random.Between(-1, 1) * (17 - radius);
  placement.turns = random.Between(0, 1);
  return placement;
}

Status WriteImage(const fs::path& path, const data::Image& image) {
  HAQ_ASSIGN_OR_RETURN(const std::vector<uint8_t> png, data::EncodePng(image));
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(png.data()), static_cast<std::streamsize>(png.size()));
  file.close();
  if (!file) return FailedPrecondition("cannot write {}", path.string());
  return Status::Ok();
}

}  // namespace

const char* SplitName(Split split) {
  switch (split) {
    case Split::kCalibration:
      return "calibration";
    case Split::kTest:
      return "test";
    case Split::kTrain:
      return "train";
  }
  return "";
}

data::Image DrawImage(uint64_t seed, Split split, Shape shape, int index) {
  uint64_t stream = Random::Mix(seed);
  for (const auto part :
       {static_cast<uint64_t>(split), static_cast<uint64_t>(shape), static_cast<uint64_t>(index)}) {
    stream = Random::Mix(stream ^ part);
  }
  Random random(stream);

  Canvas canvas;
  const Color from = RandomColor(random), to = RandomColor(random);
  canvas.FillGradient(from, to, random.Between(0, 1));
  PaintClutter(canvas, random, random.Below(6), 6);
  const Color color = ContrastingColor(random, from, to);
  canvas.Paint(shape, RandomPlacement(random), color, random.Between(0.66, 1));
  PaintClutter(canvas, random, random.Below(4), 5);
  canvas.AddNoise(random, random.Between(4, 28));
  return canvas.ToImage();
}

Status DrawSplit(uint64_t seed, Split split, int count, const fs::path& folder) {
  const fs::path root = folder / SplitName(split);
  std::error_code error;
  if (fs::exists(root, error)) return AlreadyExists("{} exists; remove it first", root.string());
  constexpr int kClasses = kShapeNames.size();
  for (const auto name : kShapeNames) {
    fs::create_directories(root / name, error);
    if (error) {
      return FailedPrecondition("cannot make the folder {}: {}", (root / name).string(),
                                error.message());
    }
  }
  for (int i = 0; i < count; ++i) {
    const int shape = i % kClasses, index = i / kClasses;
    HAQ_RETURN_IF_ERROR(WriteImage(root / kShapeNames[shape] / fmt::format("{:05}.png", index),
                                   DrawImage(seed, split, static_cast<Shape>(shape), index)));
  }
  return Status::Ok();
}

}  // namespace haq::demo
