// What a canvas looks like: its PNG, read back.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "client/plot/canvas.h"

namespace haq::plot {

struct Box {
  int left = 0, top = 0, right = 0, bottom = 0;  // the last two are the last pixels
  int width() const { return right - left + 1; }
  int height() const { return bottom - top + 1; }
};

class Picture {
 public:
  // Writes and reads the file; a failure fails the test.
  explicit Picture(const Canvas& canvas);

  int width() const { return width_; }
  int height() const { return height_; }
  // Pixels of exactly that colour.
  int64_t Count(Color color) const;
  // Around the pixels of that colour between two columns; nullopt when there are none.
  std::optional<Box> Find(Color color, int from_column = 0, int to_column = 1 << 30) const;
  // Widths of the runs of that colour along its first row.
  std::vector<int> Runs(Color color, int row) const;

 private:
  bool Is(int x, int y, Color color) const;

  int width_ = 0, height_ = 0;
  std::vector<uint8_t> rgb_;
};

}  // namespace haq::plot
