// The wide operators against their definition, in every combination of widths.
#include "core/kernels/wide.h"

#include <cmath>

#include "core/kernels/ref/definition_wide.h"
#include "tests/unit/core/kernels/kernel_test.h"

namespace haq::kernels {
namespace {

using wide::In;
using wide::Out;
using wide::WideChannel;

class WideTest : public KernelTest {
 protected:
  // Levels of either width in a buffer that ends at an unmapped page.
  struct Tensor {
    std::unique_ptr<test::GuardedBuffer> bytes;
    bool is_wide;
    In in() const { return {bytes->data(), is_wide}; }
    Out out() const { return {bytes->data(), is_wide}; }
    int32_t last_level() const { return is_wide ? 65535 : 255; }
  };
  Tensor RandomLevels(int64_t count, bool is_wide) {
    return {Levels(count * (is_wide ? 2 : 1)), is_wide};
  }
  Tensor RandomLevels(int64_t count) { return RandomLevels(count, OneIn(2)); }
  Tensor Empty(int64_t count, bool is_wide) {
    return {std::make_unique<test::GuardedBuffer>(size_t(count) * (is_wide ? 2 : 1)), is_wide};
  }
  int32_t Zero(const Tensor& tensor) {
    return OneIn(3) ? Int(0, tensor.last_level()) : Int(0, 2) * (tensor.last_level() / 2);
  }

  WideChannel RandomChannel(double magnitude, int32_t last_level) {
    WideChannel r;
    r.multiplier = OneIn(8) ? 1 << 30 : OneIn(8) ? 2147483647 : Int(1 << 30, 2147483647);
    // magnitude * multiplier * 2^-(pre_shift + shift + 12) is 40 % of the levels.
    const double bits = std::log2(magnitude * r.multiplier / (0.4 * last_level)) - 12;
    const int total = static_cast<int>(std::lround(bits));
    r.pre_shift = static_cast<int8_t>(OneIn(6) ? Int(0, 26) : std::clamp(total - 31, 0, 26));
    r.shift = static_cast<int8_t>(OneIn(6) ? Int(2, 31) : std::clamp(total - r.pre_shift, 2, 31));
    const int reach = static_cast<int>(std::min(magnitude, 2e9));
    r.bias = OneIn(4) ? 0 : Int(-reach, reach);
    if (OneIn(20)) r.bias = (int64_t{1} << 60) * (OneIn(2) ? 1 : -1);
    r.q_max = static_cast<uint16_t>(OneIn(4) ? Int(last_level / 2, last_level) : last_level);
    return r;
  }
  std::vector<WideChannel> RandomChannels(int64_t count, double magnitude, int32_t last_level) {
    std::vector<WideChannel> channels;
    for (int64_t i = 0; i < count; ++i) channels.push_back(RandomChannel(magnitude, last_level));
    return channels;
  }

  void ExpectSame(const std::vector<uint8_t>& expected, const Tensor& out) {
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), out.bytes->data()));
    for (int64_t i = 0; i < static_cast<int64_t>(expected.size()) / (out.is_wide ? 2 : 1); ++i) {
      const int32_t q = out.in().at(i);
      inside_ += q != 0 && q != out.last_level();
      ++all_;
    }
  }
  double InteriorFraction() const { return double(inside_) / double(all_); }

  void RandomAxis(int kernel_max, int32_t& in, int32_t& out, int32_t& kernel, int32_t& stride,
                  int32_t& dilation, int32_t& before) {
    kernel = Int(1, kernel_max);
    stride = Int(1, 3);
    dilation = OneIn(4) ? Int(2, 3) : 1;
    const int reach = (kernel - 1) * dilation + 1;
    before = OneIn(3) ? 0 : Int(0, reach);
    in = Int(1, 9);
    if (in + before < reach) in = reach;
    out = (in + before - reach) / stride + 1;
  }

  void CheckConv(bool depthwise) {
    wide::ConvShape s;
    RandomAxis(4, s.in_h, s.out_h, s.kernel_h, s.stride_h, s.dilation_h, s.pad_top);
    RandomAxis(4, s.in_w, s.out_w, s.kernel_w, s.stride_w, s.dilation_w, s.pad_left);
    s.groups = depthwise ? Int(1, 40) : OneIn(3) ? Int(2, 4) : 1;
    s.in_c = depthwise ? s.groups : s.groups * Int(1, OneIn(4) ? 40 : 9);
    s.out_c = depthwise ? s.groups : s.groups * Int(1, OneIn(4) ? 30 : 9);
    const int64_t outputs = int64_t{s.out_h} * s.out_w * s.out_c;
    const Tensor in = RandomLevels(int64_t{s.in_h} * s.in_w * s.in_c);
    s.input_zero = Zero(in);
    const int64_t depth = int64_t{s.kernel_h} * s.kernel_w * (s.in_c / s.groups);
    const auto weight = Weights(s.out_c, depth);
    const Tensor out = Empty(outputs, OneIn(2)), second = RandomLevels(outputs);
    const wide::WideOutput output{Zero(out), OneIn(4) ? out.last_level() / 4 : 0};
    wide::Residual residual;
    if (OneIn(2)) {
      residual = {
          second.in(),
          {Int(0, 1 << 29) * int64_t{out.last_level()} / second.last_level(), Zero(second)}};
    }
    const auto channels = RandomChannels(
        s.out_c, 74 * std::sqrt(double(depth)) * in.last_level() / 2, out.last_level());

    std::vector<uint8_t> expected(out.bytes->size());
    definition::WideConv2d(s, Signed(*weight), channels.data(), output, residual, in.in(),
                           {expected.data(), out.is_wide});
    const auto packed =
        Scratch(depthwise ? wide::DepthwisePackedBytes(s) : wide::ConvPackedBytes(s));
    const auto workspace =
        Scratch(depthwise ? wide::DepthwiseWorkspaceBytes(s) : wide::ConvWorkspaceBytes(s));
    (depthwise ? wide::DepthwisePack : wide::ConvPack)(s, Signed(*weight), packed->data());
    const int parts = Int(1, 3);
    for (int part = 0; part < parts; ++part) {
      (depthwise ? wide::DepthwiseRun : wide::ConvRun)(table(), s, channels.data(), output,
                                                       residual, packed->data(), in.in(), out.out(),
                                                       workspace->data(), {part, parts});
    }
    ExpectSame(expected, out);
  }

  int64_t inside_ = 0, all_ = 0;
};
HAQ_FOR_ALL_TABLES(WideTest);

TEST_P(WideTest, ConvolutionEqualsTheDefinition) {
  for (int i = 0; i < 2000 && !HasFailure(); ++i) CheckConv(false);
  EXPECT_GT(InteriorFraction(), 0.4);
}

TEST_P(WideTest, DepthwiseEqualsTheDefinition) {
  for (int i = 0; i < 2000 && !HasFailure(); ++i) CheckConv(true);
  EXPECT_GT(InteriorFraction(), 0.4);
}

TEST_P(WideTest, LinearEqualsTheDefinition) {
  for (int i = 0; i < 1000 && !HasFailure(); ++i) {
    const LinearShape s{Int(1, 200), Int(1, 40)};
    const int64_t rows = Int(1, 4);
    const Tensor in = RandomLevels(rows * s.inputs), out = Empty(rows * s.outputs, OneIn(2));
    const auto weight = Weights(s.outputs, s.inputs);
    const wide::WideOutput output{Zero(out), 0};
    const auto channels = RandomChannels(
        s.outputs, 74 * std::sqrt(double(s.inputs)) * in.last_level() / 2, out.last_level());
    std::vector<uint8_t> expected(out.bytes->size());
    definition::WideLinear(s, Signed(*weight), channels.data(), output, rows, in.in(),
                           {expected.data(), out.is_wide});
    const auto workspace = Scratch(wide::LinearWorkspaceBytes(s));
    const int parts = Int(1, 3);
    for (int part = 0; part < parts; ++part) {
      wide::LinearRun(table(), s, channels.data(), output, Signed(*weight), rows, in.in(),
                      out.out(), workspace->data(), {part, parts});
    }
    ExpectSame(expected, out);
  }
  EXPECT_GT(InteriorFraction(), 0.4);
}

// The largest sums that a certificate allows: 16-bit levels, all of one sign.
TEST_P(WideTest, LongestSums) {
  wide::ConvShape s;
  s.in_c = 65000, s.out_c = 4;  // 65000 * 127 * 255 < 2^31
  const Tensor in = Empty(s.in_c, true), out = Empty(4, true);
  std::fill(in.bytes->bytes().begin(), in.bytes->bytes().end(), uint8_t{255});
  std::vector<int8_t> weight(size_t(s.in_c) * 4, 127);
  std::fill(weight.begin() + s.in_c, weight.begin() + 2 * s.in_c, int8_t{-127});
  const WideChannel channel{-541000000000, 1 << 30, 12, 31, 65535};
  const std::vector<WideChannel> channels(4, channel);
  std::vector<uint8_t> expected(8);
  definition::WideConv2d(s, weight.data(), channels.data(), {1000, 0}, {}, in.in(),
                         {expected.data(), true});
  const auto packed = Scratch(wide::ConvPackedBytes(s));
  const auto workspace = Scratch(wide::ConvWorkspaceBytes(s));
  wide::ConvPack(s, weight.data(), packed->data());
  wide::ConvRun(table(), s, channels.data(), {1000, 0}, {}, packed->data(), in.in(), out.out(),
                workspace->data(), {});
  ExpectSame(expected, out);
}

TEST_P(WideTest, AddEqualsTheDefinition) {
  for (int i = 0; i < 1000 && !HasFailure(); ++i) {
    PairShape s{Int(1, 20), Int(1, 70), 0};
    if (OneIn(2)) s.b_row_stride = s.columns;
    const Tensor a = RandomLevels(s.rows * s.columns);
    const Tensor b = RandomLevels(s.b_row_stride == 0 ? s.columns : s.rows * s.columns);
    const Tensor out = Empty(s.rows * s.columns, OneIn(2));
    wide::WideAddRequantize r;
    r.shift = static_cast<int8_t>(Int(20, 40));
    const double unit = std::exp2(r.shift) * out.last_level();
    const auto multiplier = [&](const Tensor& x) {
      return static_cast<int32_t>(
          std::min(unit / x.last_level() * Int(1, 100) / 130, 2147483647.0));
    };
    r.multiplier_a = multiplier(a), r.multiplier_b = multiplier(b);
    r.constant = static_cast<int64_t>(-unit * Int(0, 50) / 100);
    r.q_max = static_cast<uint16_t>(out.last_level());
    std::vector<uint8_t> expected(out.bytes->size());
    definition::WideAdd(s, r, a.in(), b.in(), {expected.data(), out.is_wide});
    wide::Add(s, r, a.in(), b.in(), out.out());
    ExpectSame(expected, out);
  }
  EXPECT_GT(InteriorFraction(), 0.3);
}

TEST_P(WideTest, AvgPoolEqualsTheDefinition) {
  for (int i = 0; i < 500 && !HasFailure(); ++i) {
    wide::AvgPoolShape s;
    s.in_h = Int(1, 7), s.in_w = Int(1, 7), s.channels = Int(1, 40);
    s.out_h = Int(1, 3), s.out_w = Int(1, 3);
    std::vector<int32_t> begin[2], end[2], counts;
    for (int axis = 0; axis < 2; ++axis) {
      const int size = axis == 0 ? s.in_h : s.in_w;
      for (int k = 0; k < (axis == 0 ? s.out_h : s.out_w); ++k) {
        begin[axis].push_back(Int(0, size - 1));
        end[axis].push_back(Int(begin[axis].back() + 1, size));
      }
    }
    for (int count = 1; count <= s.in_h * s.in_w; ++count) counts.push_back(count);
    const Tensor in = RandomLevels(int64_t{s.in_h} * s.in_w * s.channels);
    const Tensor out = Empty(int64_t{s.out_h} * s.out_w * s.channels, OneIn(2));
    s.row_begin = begin[0].data(), s.row_end = end[0].data();
    s.column_begin = begin[1].data(), s.column_end = end[1].data();
    s.input_zero = Zero(in);
    const bool by_count = OneIn(2);
    if (by_count) s.counts = counts.data(), s.counts_size = static_cast<int32_t>(counts.size());
    std::vector<WideChannel> channels;
    for (const int count : counts) {
      channels.push_back(
          RandomChannel(double(in.last_level()) * (by_count ? count : 5), out.last_level()));
    }
    s.by_count = channels.data();
    const wide::WideOutput output{Zero(out), 0};
    std::vector<uint8_t> expected(out.bytes->size());
    definition::WideAvgPool(s, output, in.in(), {expected.data(), out.is_wide});
    const auto workspace = Scratch(sizeof(int64_t) * s.channels);
    wide::AvgPool(s, output, in.in(), out.out(), workspace->data());
    ExpectSame(expected, out);
  }
  EXPECT_GT(InteriorFraction(), 0.2);
}

TEST_P(WideTest, MaxPoolEqualsTheDefinition) {
  for (int i = 0; i < 500 && !HasFailure(); ++i) {
    WindowShape s;
    RandomAxis(4, s.in_h, s.out_h, s.kernel_h, s.stride_h, s.dilation_h, s.pad_top);
    RandomAxis(4, s.in_w, s.out_w, s.kernel_w, s.stride_w, s.dilation_w, s.pad_left);
    s.in_c = s.out_c = Int(1, 40);
    const Tensor in = RandomLevels(int64_t{s.in_h} * s.in_w * s.in_c, true);
    const Tensor out = Empty(int64_t{s.out_h} * s.out_w * s.in_c, true);
    std::vector<uint8_t> expected(out.bytes->size());
    definition::WideMaxPool(s, in.in().words(), reinterpret_cast<uint16_t*>(expected.data()));
    wide::MaxPool(s, in.in().words(), out.out().words());
    ExpectSame(expected, out);
  }
}

TEST_P(WideTest, PadEqualsTheDefinition) {
  for (int i = 0; i < 500 && !HasFailure(); ++i) {
    Dims dims;
    dims.rank = Int(1, 5);
    int32_t before[kMaxRank], after[kMaxRank];
    int64_t inputs = 1, outputs = 1;
    for (int k = 0; k < dims.rank; ++k) {
      dims.size[k] = Int(1, 5), before[k] = Int(0, 2), after[k] = Int(0, 2);
      inputs *= dims.size[k];
      outputs *= dims.size[k] + before[k] + after[k];
    }
    const auto value = static_cast<uint16_t>(Int(0, 65535));
    const Tensor in = RandomLevels(inputs, true), out = Empty(outputs, true);
    std::vector<uint8_t> expected(out.bytes->size());
    definition::WidePad(dims, before, after, value, in.in().words(),
                        reinterpret_cast<uint16_t*>(expected.data()));
    wide::Pad(dims, before, after, value, in.in().words(), out.out().words());
    ExpectSame(expected, out);
  }
}

}  // namespace
}  // namespace haq::kernels
