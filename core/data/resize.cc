#include "core/data/resize.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

namespace haq::data {
namespace {

// Weights are multiples of 2^-22. The absolute weights of a pixel sum to at most 1.5 (bicubic), so
// |sum| <= 255 * 1.5 * 2^22 + rounding < 2^31.
constexpr int kWeightBits = 22;
constexpr int32_t kHalf = 1 << (kWeightBits - 1);
constexpr int kChannels = 3;

// For each of `count` output positions: the inputs it is made of.
struct Taps {
  struct Position {
    int first = 0, count = 0;
    size_t weights = 0;  // index of the first weight
  };
  std::vector<Position> positions;
  std::vector<int32_t> weights;

  int FirstInput() const { return positions.front().first; }
  int EndInput() const { return positions.back().first + positions.back().count; }
};

double Triangle(double x) {
  x = std::fabs(x);
  return x < 1 ? 1 - x : 0;
}

// Cubic convolution with a = -1/2 (Keys).
double Cubic(double x) {
  x = std::fabs(x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
  return 0;
}

int32_t ToFixed(double weight) {
  const double scaled = weight * (1 << kWeightBits);
  return static_cast<int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
}

Taps NearestTaps(int input, int output, int begin, int count) {
  Taps taps;
  taps.weights.push_back(1 << kWeightBits);
  for (int i = begin; i < begin + count; ++i) {
    taps.positions.push_back(
        {static_cast<int>((2 * int64_t{i} + 1) * input / (2 * int64_t{output})), 1, 0});
  }
  return taps;
}

// The filter is stretched by the shrink factor, which is the antialiasing; enlarging interpolates.
// Only + - * / of doubles, which IEEE 754 rounds the same everywhere.
Taps FilterTaps(int input, int output, int begin, int count, Interpolation interpolation) {
  if (interpolation == Interpolation::kNearest) return NearestTaps(input, output, begin, count);
  const bool cubic = interpolation == Interpolation::kBicubic;
  const double ratio = static_cast<double>(input) / output;
  const double stretch = std::max(ratio, 1.0);
  const double support = (cubic ? 2.0 : 1.0) * stretch;
  Taps taps;
  std::vector<double> weights;
  for (int i = begin; i < begin + count; ++i) {
    const double center = (i + 0.5) * ratio;
    const int first = std::max(0, static_cast<int>(center - support + 0.5));
    const int end = std::min(input, static_cast<int>(center + support + 0.5));
    weights.clear();
    double sum = 0;
    for (int x = first; x < end; ++x) {
      const double distance = (x - center + 0.5) * (1.0 / stretch);
      weights.push_back(cubic ? Cubic(distance) : Triangle(distance));
      sum += weights.back();
    }
    taps.positions.push_back({first, end - first, taps.weights.size()});
    for (const double weight : weights) taps.weights.push_back(ToFixed(weight / sum));
  }
  return taps;
}

uint8_t ToPixel(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
}

void ResizeRow(const uint8_t* input, const Taps& taps, uint8_t* output) {
  for (const Taps::Position& position : taps.positions) {
    const uint8_t* pixel = input + size_t{kChannels} * position.first;
    const int32_t* weights = taps.weights.data() + position.weights;
    int32_t red = kHalf, green = kHalf, blue = kHalf;
    for (int k = 0; k < position.count; ++k, pixel += kChannels) {
      red += weights[k] * pixel[0];
      green += weights[k] * pixel[1];
      blue += weights[k] * pixel[2];
    }
    *output++ = ToPixel(red);
    *output++ = ToPixel(green);
    *output++ = ToPixel(blue);
  }
}

// Rows of `row_bytes` each, the first of them input row `first_row`.
std::vector<uint8_t> ResizeColumns(const std::vector<uint8_t>& rows, size_t row_bytes,
                                   int first_row, const Taps& taps) {
  std::vector<uint8_t> output(row_bytes * taps.positions.size());
  std::vector<int32_t> sums(row_bytes);
  uint8_t* out = output.data();
  for (const Taps::Position& position : taps.positions) {
    std::fill(sums.begin(), sums.end(), kHalf);
    for (int k = 0; k < position.count; ++k) {
      const int32_t weight = taps.weights[position.weights + k];
      const uint8_t* row = rows.data() + row_bytes * (position.first + k - first_row);
      for (size_t i = 0; i < row_bytes; ++i) sums[i] += weight * row[i];
    }
    for (size_t i = 0; i < row_bytes; ++i) out[i] = ToPixel(sums[i]);
    out += row_bytes;
  }
  return output;
}

}  // namespace

std::vector<uint8_t> ResizedBox(const Image& image, Size size, Box box,
                                Interpolation interpolation) {
  assert(box.top >= 0 && box.top + box.height <= size.height);
  assert(box.left >= 0 && box.left + box.width <= size.width);
  const bool same_height = size.height == image.height;
  const Taps vertical =
      same_height ? Taps{}
                  : FilterTaps(image.height, size.height, box.top, box.height, interpolation);
  const int first_row = same_height ? box.top : vertical.FirstInput();
  const int end_row = same_height ? box.top + box.height : vertical.EndInput();

  const size_t row_bytes = size_t{kChannels} * box.width;
  std::vector<uint8_t> rows(row_bytes * (end_row - first_row));
  const Taps horizontal = FilterTaps(image.width, size.width, box.left, box.width, interpolation);
  for (int y = first_row; y < end_row; ++y) {
    const uint8_t* input = image.rgb.data() + size_t{kChannels} * image.width * y;
    uint8_t* output = rows.data() + row_bytes * (y - first_row);
    if (size.width == image.width) {
      std::memcpy(output, input + size_t{kChannels} * box.left, row_bytes);
    } else {
      ResizeRow(input, horizontal, output);
    }
  }
  return same_height ? rows : ResizeColumns(rows, row_bytes, first_row, vertical);
}

}  // namespace haq::data
