#include "core/data/encode.h"

#include <exception>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <utility>

namespace haq::data {
namespace {

Result<std::vector<uint8_t>> Encode(const Image& image, const char* extension,
                                    const std::vector<int>& parameters) {
  if (image.width < 1 || image.height < 1 ||
      image.rgb.size() != size_t(image.width) * size_t(image.height) * 3) {
    return InvalidArgument("an image of {} x {} pixels does not have {} bytes", image.width,
                           image.height, image.rgb.size());
  }
  std::vector<uint8_t> bgr = image.rgb;
  for (size_t i = 0; i < bgr.size(); i += 3) std::swap(bgr[i], bgr[i + 2]);
  std::vector<uint8_t> encoded;
  try {
    if (cv::imencode(extension, cv::Mat(image.height, image.width, CV_8UC3, bgr.data()), encoded,
                     parameters)) {
      return encoded;
    }
  } catch (const std::exception& error) {
    return InternalError("cannot encode an image: {}", error.what());
  }
  return InternalError("cannot encode an image of {} x {} pixels", image.width, image.height);
}

}  // namespace

Result<std::vector<uint8_t>> EncodePng(const Image& image) { return Encode(image, ".png", {}); }

Result<std::vector<uint8_t>> EncodeJpeg(const Image& image, int quality) {
  if (quality < 1 || quality > 100) {
    return InvalidField("quality", "must be from 1 to 100, not {}", quality);
  }
  return Encode(image, ".jpg", {cv::IMWRITE_JPEG_QUALITY, quality});
}

}  // namespace haq::data
