// A white picture to draw on, in points from its top left corner, written as PNG. Cairo stays
// behind it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace haq::plot {

struct Color {
  double red = 0, green = 0, blue = 0, alpha = 1;
};
// "#0072B2"
constexpr Color Rgb(int rgb, double alpha = 1) {
  return {((rgb >> 16) & 255) / 255.0, ((rgb >> 8) & 255) / 255.0, (rgb & 255) / 255.0, alpha};
}
inline constexpr Color kInk = Rgb(0x222222);    // text, axes
inline constexpr Color kFaint = Rgb(0x666666);  // text that explains
inline constexpr Color kGrid = Rgb(0xDDDDDD);
inline constexpr Color kPaper = Rgb(0xFFFFFF);

struct Point {
  double x = 0, y = 0;
};

enum class Anchor { kLeft, kCenter, kRight };

struct TextStyle {
  double size = 11;
  Color color = kInk;
  Anchor anchor = Anchor::kLeft;
  bool bold = false;
  bool upward = false;  // turned by a quarter, reading from below
};

// Not thread-safe.
class Canvas {
 public:
  // Pixels for each point: text stays sharp where it is shown larger.
  static constexpr double kPixelsPerPoint = 2;

  Canvas(double width, double height);
  Canvas(Canvas&& other) noexcept;
  ~Canvas();

  double width() const { return width_; }
  double height() const { return height_; }

  void Rectangle(Point corner, double width, double height, Color color);
  void Polygon(const std::vector<Point>& points, Color color);
  void Line(Point from, Point to, Color color, double thickness = 1, bool dashed = false);
  void Dot(Point center, double radius, Color color);
  // `at` is the anchor's place, at half the height of the letters.
  void Text(Point at, std::string_view text, const TextStyle& style);
  double TextWidth(std::string_view text, const TextStyle& style) const;
  // `text`, or its two ends around an ellipsis, at most that wide.
  std::string Fitted(std::string_view text, const TextStyle& style, double width) const;

  // kFailedPrecondition when the file cannot be written, kResourceExhausted when the picture was
  // too large to be drawn.
  Status WritePng(const std::string& path) const;

 private:
  struct Cairo;
  const double width_, height_;
  std::unique_ptr<Cairo> cairo_;
};

}  // namespace haq::plot
