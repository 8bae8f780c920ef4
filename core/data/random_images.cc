#include "core/data/random_images.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "core/data/encode.h"

namespace haq::data {
namespace {

constexpr int kPatch = 16;  // pixels along the side of a patch of one colour

class RandomReader : public SampleReader {
 public:
  RandomReader(int64_t count, int width, int height)
      : count_(count), width_(width), height_(height) {}

  Result<std::optional<Sample>> Next() override {
    if (next_ == count_) return std::optional<Sample>();
    Sample sample;
    sample.key = fmt::format("random/{}", next_);
    HAQ_ASSIGN_OR_RETURN(sample.encoded, EncodePng(Draw(static_cast<uint64_t>(next_))));
    ++next_;
    return std::optional<Sample>(std::move(sample));
  }

 private:
  // Of the standard's random number library only the engines give the same numbers everywhere.
  Image Draw(uint64_t seed) const {
    std::mt19937_64 random(seed);
    const int columns = width_ / kPatch + 1, rows = height_ / kPatch + 1;
    std::vector<int> colours(static_cast<size_t>(columns * rows * 3));
    for (int& colour : colours) colour = static_cast<int>(random() % 256);
    Image image{width_, height_, {}};
    image.rgb.reserve(static_cast<size_t>(width_) * height_ * 3);
    for (int y = 0; y < height_; ++y) {
      for (int x = 0; x < width_; ++x) {
        const int* colour = &colours[static_cast<size_t>(y / kPatch * columns + x / kPatch) * 3];
        uint64_t noise = random();
        for (int c = 0; c < 3; ++c, noise >>= 8) {
          const int value = colour[c] + static_cast<int>(noise % 64) - 32;
          image.rgb.push_back(static_cast<uint8_t>(std::clamp(value, 0, 255)));
        }
      }
    }
    return image;
  }

  int64_t count_, next_ = 0;
  int width_, height_;
};

}  // namespace

std::unique_ptr<SampleReader> RandomImages(int64_t count, int width, int height) {
  return std::make_unique<RandomReader>(count, width, height);
}

}  // namespace haq::data
