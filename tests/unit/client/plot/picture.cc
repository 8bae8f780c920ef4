#include "tests/unit/client/plot/picture.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "core/base/file.h"
#include "core/data/preprocess.h"

namespace haq::plot {

Picture::Picture(const Canvas& canvas) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("haq-picture-" + std::to_string(::getpid()) + ".png");
  const Status status = canvas.WritePng(path.string());
  EXPECT_TRUE(status.ok()) << status.ToString();
  const auto bytes = ReadFile(path);
  std::filesystem::remove(path);
  if (!bytes.ok()) return;
  const auto image = data::DecodeImage(*bytes);
  EXPECT_TRUE(image.ok()) << image.status().ToString();
  if (!image.ok()) return;
  width_ = image->width;
  height_ = image->height;
  rgb_ = image->rgb;
}

bool Picture::Is(int x, int y, Color color) const {
  const uint8_t* pixel = &rgb_[(size_t(y) * width_ + x) * 3];
  const auto same = [](uint8_t value, double wanted) {
    return std::abs(value - wanted * 255) < 0.75;
  };
  return same(pixel[0], color.red) && same(pixel[1], color.green) && same(pixel[2], color.blue);
}

int64_t Picture::Count(Color color) const {
  int64_t count = 0;
  for (int y = 0; y < height_; ++y) {
    for (int x = 0; x < width_; ++x) count += Is(x, y, color);
  }
  return count;
}

std::optional<Box> Picture::Find(Color color, int from_column, int to_column) const {
  std::optional<Box> box;
  for (int y = 0; y < height_; ++y) {
    for (int x = std::max(0, from_column); x < std::min(width_, to_column); ++x) {
      if (!Is(x, y, color)) continue;
      if (!box) box = Box{x, y, x, y};
      box->left = std::min(box->left, x);
      box->right = std::max(box->right, x);
      box->bottom = y;
    }
  }
  return box;
}

std::vector<int> Picture::Runs(Color color, int row) const {
  std::vector<int> runs;
  bool inside = false;
  for (int x = 0; x < width_; ++x) {
    const bool is = Is(x, row, color);
    if (is && !inside) runs.push_back(0);
    if (is) ++runs.back();
    inside = is;
  }
  return runs;
}

}  // namespace haq::plot
