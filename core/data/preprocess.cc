#include "core/data/preprocess.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "core/data/resize.h"

namespace haq::data {
namespace {

constexpr int64_t kMaxSide = 65535;
using Table = std::array<float, 256>;

int ChannelsOf(ColorOrder color) { return color == ColorOrder::kGray ? 1 : 3; }

Status CheckSide(const char* field, int64_t side) {
  if (side >= 1 && side <= kMaxSide) return Status::Ok();
  return InvalidField(field, "must be from 1 to {}, not {}", kMaxSide, side);
}

Status CheckChannelValues(const char* field, const std::vector<double>& values, size_t channels) {
  if (values.size() != channels) {
    return InvalidField(field, "has {} values, but the colour has {} channels", values.size(),
                        channels);
  }
  for (const double value : values) {
    if (!std::isfinite(value)) return InvalidField(field, "must be finite numbers");
  }
  return Status::Ok();
}

Table TableOf(const Preprocess& preprocess, int channel) {
  Table table;
  for (int pixel = 0; pixel < 256; ++pixel) {
    table[pixel] = static_cast<float>((pixel * preprocess.scale - preprocess.mean[channel]) /
                                      preprocess.std[channel]);
  }
  return table;
}

// Python's round(difference / 2): halves go to the even neighbour.
int CropOffset(int difference) {
  const int half = difference / 2;
  return difference % 2 == 0 ? half : half + half % 2;
}

struct Plan {
  Size resized;
  Box box;
};

Result<Plan> MakePlan(const Preprocess& preprocess, const Image& image) {
  int64_t height = image.height, width = image.width;
  if (preprocess.resize_to) {
    height = (*preprocess.resize_to)[0];
    width = (*preprocess.resize_to)[1];
  } else if (preprocess.shorter_side) {
    const int64_t side = *preprocess.shorter_side;
    const bool tall = height > width;
    const int64_t longer = side * std::max(height, width) / std::min(height, width);
    height = tall ? longer : side;
    width = tall ? side : longer;
  }
  const bool resized = preprocess.resize_to || preprocess.shorter_side;
  if (height > INT32_MAX || width > INT32_MAX) {
    return InvalidArgument("an image of {} x {} (height x width) pixels would become {} x {}",
                           image.height, image.width, height, width);
  }
  Plan plan{{static_cast<int>(height), static_cast<int>(width)}, {}};
  plan.box = {0, 0, plan.resized.height, plan.resized.width};
  if (preprocess.center_crop) {
    const auto [crop_height, crop_width] = *preprocess.center_crop;
    if (crop_height > height || crop_width > width) {
      return InvalidArgument(
          "center_crop: the image is {} x {} (height x width) pixels{}, smaller than the crop of "
          "{} x {}",
          height, width, resized ? " after resize" : "", crop_height, crop_width);
    }
    plan.box = {CropOffset(plan.resized.height - crop_height),
                CropOffset(plan.resized.width - crop_width), crop_height, crop_width};
  }
  return plan;
}

Status CheckShape(const Plan& plan, int channels, const std::vector<int64_t>& shape,
                  size_t output_size) {
  const std::vector<int64_t> made{channels, plan.box.height, plan.box.width};
  if (shape != made) {
    return InvalidArgument(
        "the network takes [{}] (channels, height, width), but the preprocessed image is [{}]",
        fmt::join(shape, ", "), fmt::join(made, ", "));
  }
  const size_t size = size_t(channels) * plan.box.height * plan.box.width;
  if (output_size != size) {
    return InvalidArgument("the output has room for {} values, not {}", output_size, size);
  }
  return Status::Ok();
}

// Rows of interleaved RGB, `stride` bytes apart.
struct Rows {
  const uint8_t* first;
  size_t stride;
};

void FillColor(const Preprocess& preprocess, Rows rows, int height, int width, float* output) {
  const size_t plane = size_t(height) * width;
  for (int channel = 0; channel < 3; ++channel) {
    const Table table = TableOf(preprocess, channel);
    const int source = preprocess.color == ColorOrder::kBgr ? 2 - channel : channel;
    float* out = output + plane * channel;
    for (int y = 0; y < height; ++y) {
      const uint8_t* pixel = rows.first + rows.stride * y + source;
      for (int x = 0; x < width; ++x, pixel += 3) *out++ = table[*pixel];
    }
  }
}

// ITU-R 601 luma in 16-bit fixed point; the weights sum to 2^16, so grey stays what it is.
void FillGray(const Preprocess& preprocess, Rows rows, int height, int width, float* output) {
  const Table table = TableOf(preprocess, 0);
  for (int y = 0; y < height; ++y) {
    const uint8_t* pixel = rows.first + rows.stride * y;
    for (int x = 0; x < width; ++x, pixel += 3) {
      const uint32_t luma = 19595u * pixel[0] + 38470u * pixel[1] + 7471u * pixel[2] + 0x8000u;
      *output++ = table[luma >> 16];
    }
  }
}

}  // namespace

Status Validate(const Preprocess& preprocess) {
  if (preprocess.shorter_side && preprocess.resize_to) {
    return InvalidField("resize", "has both shorter_side and size; one is allowed");
  }
  if (preprocess.shorter_side) {
    HAQ_RETURN_IF_ERROR(CheckSide("resize.shorter_side", *preprocess.shorter_side));
  }
  for (const int side : preprocess.resize_to.value_or(std::array{1, 1})) {
    HAQ_RETURN_IF_ERROR(CheckSide("resize.size", side));
  }
  for (const int side : preprocess.center_crop.value_or(std::array{1, 1})) {
    HAQ_RETURN_IF_ERROR(CheckSide("center_crop", side));
  }
  if (!std::isfinite(preprocess.scale) || preprocess.scale == 0) {
    return InvalidField("scale", "must be a finite number that is not 0");
  }
  const int channels = ChannelsOf(preprocess.color);
  HAQ_RETURN_IF_ERROR(CheckChannelValues("mean", preprocess.mean, channels));
  HAQ_RETURN_IF_ERROR(CheckChannelValues("std", preprocess.std, channels));
  for (int channel = 0; channel < channels; ++channel) {
    if (preprocess.std[channel] <= 0) {
      return InvalidField("std", "must be greater than 0, not {}", preprocess.std[channel]);
    }
    const Table table = TableOf(preprocess, channel);
    if (!std::isfinite(table.front()) || !std::isfinite(table.back())) {
      return InvalidField("std", "with this scale and mean, pixels leave the range of a float");
    }
  }
  return Status::Ok();
}

Status Apply(const Preprocess& preprocess, const Image& image, const std::vector<int64_t>& shape,
             std::span<float> output) {
  HAQ_RETURN_IF_ERROR(Validate(preprocess));
  if (image.width < 1 || image.height < 1 ||
      image.rgb.size() != size_t(image.width) * size_t(image.height) * 3) {
    return InvalidArgument("an image of {} x {} (height x width) pixels does not have {} bytes",
                           image.height, image.width, image.rgb.size());
  }
  HAQ_ASSIGN_OR_RETURN(const Plan plan, MakePlan(preprocess, image));
  HAQ_RETURN_IF_ERROR(CheckShape(plan, ChannelsOf(preprocess.color), shape, output.size()));

  std::vector<uint8_t> resized;
  Rows rows{image.rgb.data() + (size_t(plan.box.top) * image.width + plan.box.left) * 3,
            size_t(image.width) * 3};
  if (plan.resized.height != image.height || plan.resized.width != image.width) {
    resized = ResizedBox(image, plan.resized, plan.box, preprocess.interpolation);
    rows = {resized.data(), size_t(plan.box.width) * 3};
  }
  const auto fill = preprocess.color == ColorOrder::kGray ? FillGray : FillColor;
  fill(preprocess, rows, plan.box.height, plan.box.width, output.data());
  return Status::Ok();
}

}  // namespace haq::data
