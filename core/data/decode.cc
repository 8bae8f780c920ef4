#include <algorithm>
#include <climits>
#include <exception>
#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <utility>

#include "core/data/image_header.h"
#include "core/data/preprocess.h"

namespace haq::data {
namespace {

// Failures are reported in the Status; the library would print them as well.
void SilenceOpenCv() {
  [[maybe_unused]] static const auto previous =
      cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
}

// Into the image's own memory, as blue, green, red. False when the bytes cannot be decoded.
bool DecodeBgr(std::span<const uint8_t> encoded, Image& image) {
  const cv::Mat input(1, static_cast<int>(encoded.size()), CV_8UC1,
                      const_cast<uint8_t*>(encoded.data()));
  cv::Mat pixels(image.height, image.width, CV_8UC3, image.rgb.data());
  try {
    cv::imdecode(input, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION, &pixels);
  } catch (const std::exception&) {
    return false;
  }
  return pixels.data == image.rgb.data() && pixels.rows == image.height &&
         pixels.cols == image.width;
}

}  // namespace

Result<Image> DecodeImage(std::span<const uint8_t> encoded, const DecodeLimits& limits) {
  if (encoded.size() > std::min<uint64_t>(limits.max_encoded_bytes, INT_MAX)) {
    return InvalidArgument("the encoded image has {} bytes; at most {} are allowed", encoded.size(),
                           limits.max_encoded_bytes);
  }
  HAQ_ASSIGN_OR_RETURN(const ImageHeader header, ReadImageHeader(encoded));
  if (uint64_t{header.width} * header.height > std::min<uint64_t>(limits.max_pixels, INT_MAX)) {
    return InvalidArgument("the image is {} x {} pixels; at most {} pixels are allowed",
                           header.width, header.height, limits.max_pixels);
  }
  Image image{static_cast<int>(header.width), static_cast<int>(header.height), {}};
  image.rgb.resize(size_t{header.width} * header.height * 3);
  SilenceOpenCv();
  if (!DecodeBgr(encoded, image)) {
    return InvalidArgument("the {} image ({} x {}) is damaged or of a kind that is not supported",
                           header.format == ImageFormat::kJpeg ? "JPEG" : "PNG", header.width,
                           header.height);
  }
  for (size_t i = 0; i < image.rgb.size(); i += 3) std::swap(image.rgb[i], image.rgb[i + 2]);
  return image;
}

}  // namespace haq::data
