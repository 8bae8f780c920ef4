#include "client/plot/canvas.h"

#include <cairo.h>

#include <cmath>
#include <numbers>

namespace haq::plot {
namespace {

constexpr char kFont[] = "DejaVu Sans";
constexpr double kHalfLetter = 0.36;  // half the height of a capital, for each point of size

void SetFont(cairo_t* cairo, const TextStyle& style) {
  cairo_select_font_face(cairo, kFont, CAIRO_FONT_SLANT_NORMAL,
                         style.bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(cairo, style.size);
}

void SetColor(cairo_t* cairo, Color color) {
  cairo_set_source_rgba(cairo, color.red, color.green, color.blue, color.alpha);
}

// The first `count` characters of UTF-8, or the last.
std::string First(std::string_view text, size_t count) {
  size_t end = 0;
  for (; end < text.size() && count > 0; --count) {
    do ++end;
    while (end < text.size() && (text[end] & 0xC0) == 0x80);
  }
  return std::string(text.substr(0, end));
}

std::string Last(std::string_view text, size_t count) {
  size_t begin = text.size();
  for (; begin > 0 && count > 0; --count) {
    do --begin;
    while (begin > 0 && (text[begin] & 0xC0) == 0x80);
  }
  return std::string(text.substr(begin));
}

}  // namespace

struct Canvas::Cairo {
  Cairo(int width, int height)
      : surface(cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height)),
        context(cairo_create(surface)) {}
  Cairo(const Cairo&) = delete;
  Cairo& operator=(const Cairo&) = delete;
  ~Cairo() {
    cairo_destroy(context);
    cairo_surface_destroy(surface);
  }
  cairo_surface_t* surface;
  cairo_t* context;
};

Canvas::Canvas(double width, double height)
    : width_(width),
      height_(height),
      cairo_(std::make_unique<Cairo>(static_cast<int>(std::ceil(width * kPixelsPerPoint)),
                                     static_cast<int>(std::ceil(height * kPixelsPerPoint)))) {
  cairo_scale(cairo_->context, kPixelsPerPoint, kPixelsPerPoint);
  Rectangle({0, 0}, width, height, kPaper);
}

Canvas::Canvas(Canvas&& other) noexcept = default;
Canvas::~Canvas() = default;

void Canvas::Rectangle(Point corner, double width, double height, Color color) {
  SetColor(cairo_->context, color);
  cairo_rectangle(cairo_->context, corner.x, corner.y, width, height);
  cairo_fill(cairo_->context);
}

void Canvas::Polygon(const std::vector<Point>& points, Color color) {
  SetColor(cairo_->context, color);
  for (const Point& point : points) cairo_line_to(cairo_->context, point.x, point.y);
  cairo_close_path(cairo_->context);
  cairo_fill(cairo_->context);
}

void Canvas::Line(Point from, Point to, Color color, double thickness, bool dashed) {
  SetColor(cairo_->context, color);
  cairo_set_line_width(cairo_->context, thickness);
  constexpr double kDash[] = {4, 3};
  cairo_set_dash(cairo_->context, kDash, dashed ? 2 : 0, 0);
  cairo_move_to(cairo_->context, from.x, from.y);
  cairo_line_to(cairo_->context, to.x, to.y);
  cairo_stroke(cairo_->context);
}

void Canvas::Dot(Point center, double radius, Color color) {
  SetColor(cairo_->context, color);
  cairo_arc(cairo_->context, center.x, center.y, radius, 0, 2 * std::numbers::pi);
  cairo_fill(cairo_->context);
}

double Canvas::TextWidth(std::string_view text, const TextStyle& style) const {
  SetFont(cairo_->context, style);
  cairo_text_extents_t extents;
  cairo_text_extents(cairo_->context, std::string(text).c_str(), &extents);
  return extents.x_advance;
}

void Canvas::Text(Point at, std::string_view text, const TextStyle& style) {
  const double width = TextWidth(text, style);
  const double shift = style.anchor == Anchor::kLeft     ? 0
                       : style.anchor == Anchor::kCenter ? -width / 2
                                                         : -width;
  cairo_save(cairo_->context);
  SetColor(cairo_->context, style.color);
  cairo_translate(cairo_->context, at.x, at.y);
  if (style.upward) cairo_rotate(cairo_->context, -std::numbers::pi / 2);
  cairo_move_to(cairo_->context, shift, kHalfLetter * style.size);
  cairo_show_text(cairo_->context, std::string(text).c_str());
  cairo_new_path(cairo_->context);
  cairo_restore(cairo_->context);
}

std::string Canvas::Fitted(std::string_view text, const TextStyle& style, double width) const {
  if (TextWidth(text, style) <= width) return std::string(text);
  for (size_t kept = text.size() / 2; kept > 0; --kept) {
    std::string shorter = First(text, kept) + "\u2026" + Last(text, kept);
    if (shorter.size() < text.size() && TextWidth(shorter, style) <= width) return shorter;
  }
  return "\u2026";
}

Status Canvas::WritePng(const std::string& path) const {
  cairo_status_t status = cairo_status(cairo_->context);
  if (status != CAIRO_STATUS_SUCCESS) {
    return ResourceExhausted("cannot draw {}, {:.0f} x {:.0f} points: {}", path, width_, height_,
                             cairo_status_to_string(status));
  }
  cairo_surface_flush(cairo_->surface);
  status = cairo_surface_write_to_png(cairo_->surface, path.c_str());
  if (status == CAIRO_STATUS_SUCCESS) return {};
  return FailedPrecondition("cannot write {}: {}", path, cairo_status_to_string(status));
}

}  // namespace haq::plot
