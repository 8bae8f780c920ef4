// Convolution of levels of either width with any groups: the windows of some pixels are gathered as
// rows of bytes, a 16-bit pixel as two: its low and its high ones. Rows and weight rows are padded
// to whole vectors; the weights' padding is zero.
#include <algorithm>
#include <cstring>

#include "core/kernels/ref/wide_rows.h"

namespace haq::kernels::wide {
namespace {

constexpr int64_t kStripBytes = 16384;  // of gathered rows: they stay in the first level cache

constexpr int64_t kDepthStep = 32;

// The sizes that pack, workspace and run agree on.
struct Plan {
  int64_t taps_depth, depth;  // of one dot product: what there is, and padded
  int64_t outputs;            // channels of one group
  int64_t strip;              // gathered rows, a multiple of kDotRows

  explicit Plan(const ConvShape& s) {
    taps_depth = int64_t{s.kernel_h} * s.kernel_w * (s.in_c / s.groups);
    depth = (taps_depth + kDepthStep - 1) / kDepthStep * kDepthStep;
    outputs = s.out_c / s.groups;
    strip = std::clamp<int64_t>(kStripBytes / depth, kDotRows, 64) / kDotRows * kDotRows;
  }
};

// One run of one part.
class Runner {
 public:
  Runner(const KernelTable& kernels, const ConvShape& s, const WideChannel* channels,
         const WideOutput& output, const Residual& residual, const int8_t* weight, In in, Out out,
         void* workspace)
      : kernels_(kernels),
        s_(s),
        plan_(s),
        channels_(channels),
        output_(output),
        residual_(residual),
        weight_(weight),
        in_(in),
        out_(out),
        planes_(PlanesOf(in)),
        strip_(static_cast<uint8_t*>(workspace)) {}

  void Run(Range pixels) {
    std::memset(strip_, 0, static_cast<size_t>(plan_.strip * plan_.depth));
    const int64_t step = plan_.strip / planes_;
    for (int64_t first = pixels.begin; first < pixels.end; first += step) {
      const int64_t count = std::min(step, pixels.end - first);
      for (int64_t group = 0; group < s_.groups; ++group) {
        for (int64_t p = 0; p < count; ++p) {
          GatherPixel(group, (first + p) / s_.out_w, (first + p) % s_.out_w,
                      strip_ + p * planes_ * plan_.depth);
        }
        RunStrip(group, first, count);
      }
    }
  }

 private:
  // The window of output pixel (oy, ox) in one group's channels.
  void GatherPixel(int64_t group, int64_t oy, int64_t ox, uint8_t* row) const {
    const int64_t depth = s_.in_c / s_.groups;
    for (int64_t ky = 0; ky < s_.kernel_h; ++ky) {
      const int64_t y = oy * s_.stride_h - s_.pad_top + ky * s_.dilation_h;
      for (int64_t kx = 0; kx < s_.kernel_w; ++kx, row += depth) {
        const int64_t x = ox * s_.stride_w - s_.pad_left + kx * s_.dilation_w;
        if (y >= 0 && y < s_.in_h && x >= 0 && x < s_.in_w) {
          SplitLevels(in_, (y * s_.in_w + x) * s_.in_c + group * depth, depth, plan_.depth, row);
        } else {
          SplitLevel(in_, s_.input_zero, depth, plan_.depth, row);
        }
      }
    }
  }

  // All channels of a group for `count` gathered pixels.
  void RunStrip(int64_t group, int64_t first, int64_t count) const {
    const int64_t step = kDotRows / planes_;
    for (int64_t o = 0; o < plan_.outputs; o += kDotOutputs) {
      const int64_t channel = group * plan_.outputs + o;
      const int64_t outputs = std::min<int64_t>(kDotOutputs, plan_.outputs - o);
      for (int64_t p = 0; p < count; p += step) {
        const int64_t pixels = std::min(step, count - p);
        alignas(64) int32_t sums[kDotRows * kDotOutputs];
        kernels_.dots({strip_ + p * planes_ * plan_.depth, weight_ + channel * plan_.depth,
                       plan_.depth, pixels * planes_, outputs, sums});
        for (int64_t i = 0; i < pixels; ++i) {
          const int32_t* low = sums + i * planes_ * kDotOutputs;
          RequantizeRow(kernels_, low, planes_ == 2 ? low + kDotOutputs : nullptr, outputs,
                        channels_ + channel, output_, residual_,
                        (first + p + i) * s_.out_c + channel, out_);
        }
      }
    }
  }

  const KernelTable& kernels_;
  const ConvShape& s_;
  const Plan plan_;
  const WideChannel* channels_;
  const WideOutput& output_;
  const Residual& residual_;
  const int8_t* weight_;
  const In in_;
  const Out out_;
  const int64_t planes_;
  uint8_t* strip_;
};

}  // namespace

size_t ConvPackedBytes(const ConvShape& s) { return static_cast<size_t>(s.out_c * Plan(s).depth); }

void ConvPack(const ConvShape& s, const int8_t* weight, void* packed) {
  const Plan plan(s);
  auto* row = static_cast<int8_t*>(packed);
  for (int64_t o = 0; o < s.out_c; ++o, row += plan.depth, weight += plan.taps_depth) {
    std::memcpy(row, weight, static_cast<size_t>(plan.taps_depth));
    std::memset(row + plan.taps_depth, 0, static_cast<size_t>(plan.depth - plan.taps_depth));
  }
}

size_t ConvWorkspaceBytes(const ConvShape& s) {
  const Plan plan(s);
  return static_cast<size_t>(plan.strip * plan.depth);
}

void ConvRun(const KernelTable& kernels, const ConvShape& s, const WideChannel* channels,
             const WideOutput& output, const Residual& residual, const void* packed, In in, Out out,
             void* workspace, Part part) {
  Runner(kernels, s, channels, output, residual, static_cast<const int8_t*>(packed), in, out,
         workspace)
      .Run(PartOf(int64_t{s.out_h} * s.out_w, part));
}

}  // namespace haq::kernels::wide
