#include <cmath>

#include "core/kernels/simd/winograd.h"
#include "tests/unit/core/kernels/kernel_test.h"

namespace haq::kernels {
namespace {

class ConvolutionTest : public KernelTest {
 protected:
  // Sizes of one axis with an output of at least one.
  void RandomAxis(int kernel_max, int32_t& in, int32_t& out, int32_t& kernel, int32_t& stride,
                  int32_t& dilation, int32_t& before) {
    kernel = Int(1, kernel_max);
    stride = Int(1, OneIn(8) ? 9 : 3);
    dilation = OneIn(4) ? Int(2, 3) : 1;
    const int reach = (kernel - 1) * dilation + 1;
    const int pad_max = OneIn(8) ? 3 * reach : reach;  // windows without a pixel of the image
    before = OneIn(3) ? 0 : Int(0, pad_max);
    const int after = OneIn(3) ? 0 : Int(0, pad_max);
    in = Int(1, OneIn(10) ? 40 : 12);
    if (in + before + after < reach) in = reach;
    out = (in + before + after - reach) / stride + 1;
  }

  ConvShape RandomShape(bool depthwise) {
    ConvShape s;
    const int kernel_max = OneIn(2) ? 1 : OneIn(4) ? 7 : 5;
    RandomAxis(kernel_max, s.in_h, s.out_h, s.kernel_h, s.stride_h, s.dilation_h, s.pad_top);
    RandomAxis(kernel_max, s.in_w, s.out_w, s.kernel_w, s.stride_w, s.dilation_w, s.pad_left);
    s.input_zero = ZeroPoint();
    if (depthwise) {
      s.groups = s.in_c = s.out_c = Int(1, OneIn(6) ? 200 : 50);
    } else if (OneIn(8)) {  // every channel gives several
      s.groups = s.in_c = Int(1, 40);
      s.out_c = s.groups * Int(2, 4);
    } else {
      s.groups = OneIn(3) ? Int(2, 4) : 1;
      s.in_c = s.groups * Int(1, OneIn(4) ? 40 : 9);
      s.out_c = s.groups * Int(1, OneIn(4) ? 50 : 19);
    }
    return s;
  }

  // The kernel's output equals the definition's; returns it for statistics.
  std::vector<uint8_t> Check(const ConvShape& s, const ConvKernel& kernel) {
    const int64_t depth = int64_t{s.kernel_h} * s.kernel_w * (s.in_c / s.groups);
    const auto in = Levels(int64_t{s.in_h} * s.in_w * s.in_c);
    const auto weight = Weights(s.out_c, depth);
    std::vector<uint8_t> expected(size_t(s.out_h) * s.out_w * s.out_c);
    TensorRequantize tensor = RandomTensor();
    const auto second = Levels(static_cast<int64_t>(expected.size()));
    Residual residual;
    if (OneIn(2)) {
      tensor.fraction_bits = static_cast<uint8_t>(Int(4, 7));
      tensor.output_offset = ZeroPoint();
      residual = {second->data(), {static_cast<int16_t>(Int(0, 32767)), ZeroPoint()}};
    }
    const auto channels =
        RandomChannels(s.out_c, 127.0 * 74 * std::sqrt(static_cast<double>(depth)), tensor);
    definition::Conv2d(s, Signed(*weight), channels.data(), tensor, residual, in->data(),
                       expected.data());

    const auto packed = Scratch(kernel.packed_bytes(s));
    const auto workspace = Scratch(kernel.workspace_bytes(s));
    kernel.pack(s, Signed(*weight), channels.data(), packed->data());
    for (int run = 0; run < 2; ++run) {  // the second finds a used workspace
      // In a wider tensor, of which the rest is left alone; the whole or in parts.
      ConvShape wide = s;
      const bool in_place = residual.levels != nullptr && OneIn(2);
      if (!in_place && OneIn(4)) wide.out_stride = s.out_c + Int(1, 40);
      const int32_t parts = OneIn(3) ? Int(2, 5) : 1;
      const std::vector<uint8_t> wanted = Spread(expected, s.out_c, wide.OutStride(), uint8_t(run));
      const test::GuardedBuffer out(wanted.size());
      std::memset(out.data(), run, out.size());
      Residual added = residual;
      if (in_place) {
        std::copy_n(residual.levels, out.size(), out.data());
        added.levels = out.data();
      }
      for (int32_t part = 0; part < parts; ++part) {
        kernel.run(wide, tensor, added, packed->data(), in->data(), out.data(), workspace->data(),
                   {part, parts});
      }
      EXPECT_TRUE(std::equal(wanted.begin(), wanted.end(), out.data()))
          << Describe(s) << " stride " << wide.OutStride() << " parts " << parts << " residual "
          << (residual.levels != nullptr) << " in place " << in_place;
    }
    return expected;
  }

  // Rows of `columns` levels, `stride` apart, `fill` between them.
  static std::vector<uint8_t> Spread(const std::vector<uint8_t>& levels, int64_t columns,
                                     int64_t stride, uint8_t fill) {
    const int64_t rows = static_cast<int64_t>(levels.size()) / columns;
    std::vector<uint8_t> spread((rows - 1) * stride + columns, fill);
    for (int64_t i = 0; i < rows; ++i) {
      std::copy_n(levels.begin() + i * columns, columns, spread.begin() + i * stride);
    }
    return spread;
  }

  static std::string Describe(const ConvShape& s) {
    const auto axis = [](int in, int out, int k, int stride, int dilation, int pad) {
      return std::to_string(in) + "->" + std::to_string(out) + " k" + std::to_string(k) + " s" +
             std::to_string(stride) + " d" + std::to_string(dilation) + " p" + std::to_string(pad);
    };
    return axis(s.in_h, s.out_h, s.kernel_h, s.stride_h, s.dilation_h, s.pad_top) + ", " +
           axis(s.in_w, s.out_w, s.kernel_w, s.stride_w, s.dilation_w, s.pad_left) + ", channels " +
           std::to_string(s.in_c) + "->" + std::to_string(s.out_c) + " groups " +
           std::to_string(s.groups) + " zero " + std::to_string(s.input_zero);
  }
};
HAQ_FOR_ALL_TABLES(ConvolutionTest);

TEST_P(ConvolutionTest, EqualsTheDefinition) {
  Interior interior;
  for (int i = 0; i < 2500 && !HasFailure(); ++i) {
    interior.Count(Check(RandomShape(false), table().conv));
  }
  EXPECT_GT(interior.fraction(), 0.4);
}

TEST_P(ConvolutionTest, DepthwiseEqualsTheDefinition) {
  Interior interior;
  for (int i = 0; i < 2500 && !HasFailure(); ++i) {
    interior.Count(Check(RandomShape(true), table().depthwise));
  }
  EXPECT_GT(interior.fraction(), 0.4);
}

// The general kernel also computes what the depthwise one is for.
TEST_P(ConvolutionTest, GeneralKernelEqualsTheDefinitionOnDepthwiseShapes) {
  for (int i = 0; i < 300 && !HasFailure(); ++i) Check(RandomShape(true), table().conv);
}

// Around the sizes of tiles: depths and channels at multiples of 8, 16 and 64, pixel counts around
// strips.
TEST_P(ConvolutionTest, PointwiseAroundTileSizes) {
  for (const int in_c : {1, 7, 8, 9, 15, 16, 17, 63, 64, 65}) {
    for (const int out_c : {1, 3, 4, 5, 15, 16, 17, 31, 32, 33, 48, 64, 65}) {
      ConvShape s;
      s.in_c = in_c, s.out_c = out_c;
      s.in_h = s.out_h = Int(1, 9), s.in_w = s.out_w = Int(1, 17);
      s.input_zero = ZeroPoint();
      Check(s, table().conv);
    }
  }
}

// Wide images, and images of which several rows fit a tile, around the widths of tiles; deep enough
// for several strips of rows and several passes over the channels.
TEST_P(ConvolutionTest, RowsAroundTileSizes) {
  for (const int width : {1, 2, 3, 5, 6, 7, 8, 12, 13, 14, 15, 27, 28, 29, 43, 57}) {
    ConvShape s;
    s.in_c = Int(1, 3) * 4, s.out_c = Int(1, 40);
    s.kernel_h = s.kernel_w = 3, s.pad_top = s.pad_left = 1;
    s.in_h = s.out_h = Int(1, 6), s.in_w = s.out_w = width;
    s.input_zero = ZeroPoint();
    Check(s, table().conv);
    s.stride_h = s.stride_w = 2;
    s.out_h = (s.in_h + 1) / 2, s.out_w = (s.in_w + 1) / 2;
    Check(s, table().conv);
  }
  ConvShape deep;
  deep.in_c = 512, deep.out_c = 130;
  deep.kernel_h = deep.kernel_w = 3, deep.pad_top = deep.pad_left = 1;
  deep.in_h = deep.out_h = 20, deep.in_w = deep.out_w = 20;
  Check(deep, table().conv);
}

// Shapes for which instruction sets have another algorithm (simd/winograd.h), and their neighbours.
TEST_P(ConvolutionTest, ThreeByThreeOfManyChannels) {
  Interior interior;
  for (int i = 0; i < 150 && !HasFailure(); ++i) {
    ConvShape s;
    s.kernel_h = s.kernel_w = 3;
    s.in_c = OneIn(4) ? 16 * Int(1, 6) : Int(14, 90), s.out_c = Int(14, 70);
    s.out_h = Int(3, OneIn(4) ? 20 : 9), s.out_w = Int(3, OneIn(4) ? 40 : 9);
    s.pad_top = Int(0, 3), s.pad_left = Int(0, 3);
    // What is padded after the image follows from the input's size.
    s.in_h = std::max(1, s.out_h + 2 - s.pad_top - Int(0, 3));
    s.in_w = std::max(1, s.out_w + 2 - s.pad_left - Int(0, 3));
    s.input_zero = ZeroPoint();
    interior.Count(Check(s, table().conv));
  }
  EXPECT_GT(interior.fraction(), 0.4);
}

// Where four times a sum is as large as int32 allows, and one channel more.
TEST_P(ConvolutionTest, ThreeByThreeWithTheLongestSums) {
  for (int i = 0; i < 12 && !HasFailure(); ++i) {
    ConvShape s;
    s.kernel_h = s.kernel_w = 3, s.pad_top = s.pad_left = 1;
    s.in_h = s.out_h = s.in_w = s.out_w = 4;
    s.in_c = simd::kMaxWinogradChannels + i % 2, s.out_c = 16;
    s.input_zero = ZeroPoint();
    Check(s, table().conv);
  }
}

TEST_P(ConvolutionTest, LongestSums) {
  ConvShape s;
  s.in_c = 4096, s.out_c = 3, s.kernel_h = s.kernel_w = s.in_h = s.in_w = 3;
  Check(s, table().conv);
}

}  // namespace
}  // namespace haq::kernels
