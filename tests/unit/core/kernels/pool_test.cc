#include <algorithm>
#include <set>

#include "tests/unit/core/kernels/kernel_test.h"

namespace haq::kernels {
namespace {

using MaxPoolTest = KernelTest;
using AvgPoolTest = KernelTest;
HAQ_FOR_ALL_TABLES(MaxPoolTest);
HAQ_FOR_ALL_TABLES(AvgPoolTest);

TEST_P(MaxPoolTest, EqualsTheDefinition) {
  for (int i = 0; i < 2000 && !HasFailure(); ++i) {
    WindowShape s;
    s.in_c = s.out_c = Int(1, OneIn(4) ? 140 : 40);
    const auto axis = [&](int32_t& in, int32_t& out, int32_t& kernel, int32_t& stride,
                          int32_t& dilation, int32_t& before) {
      kernel = Int(1, 4);
      stride = Int(1, 3);
      in = Int(1, 12);
      dilation = Int(1, std::min(in, 2));
      // Every window keeps a part of the image.
      before = Int(0, (kernel - 1) * dilation);
      const int last = Int(0, in - 1);  // start of the last window at most
      out = (last + before) / stride + 1;
    };
    axis(s.in_h, s.out_h, s.kernel_h, s.stride_h, s.dilation_h, s.pad_top);
    axis(s.in_w, s.out_w, s.kernel_w, s.stride_w, s.dilation_w, s.pad_left);
    const auto in = Levels(int64_t{s.in_h} * s.in_w * s.in_c);
    std::vector<uint8_t> expected(size_t(s.out_h) * s.out_w * s.in_c);
    definition::MaxPool(s, in->data(), expected.data());
    const test::GuardedBuffer out(expected.size());
    const auto workspace = Scratch(sizeof(void*) * s.kernel_h * s.kernel_w);
    const int32_t parts = OneIn(3) ? Int(2, 5) : 1;
    for (int32_t part = 0; part < parts; ++part) {
      table().max_pool(s, in->data(), out.data(), workspace->data(), {part, parts});
    }
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), out.data()));
  }
}

TEST_P(AvgPoolTest, EqualsTheDefinition) {
  Interior interior;
  for (int i = 0; i < 2000 && !HasFailure(); ++i) {
    AvgPoolShape s;
    s.in_h = Int(1, OneIn(8) ? 40 : 10), s.in_w = Int(1, OneIn(8) ? 300 : 10), s.out_h = Int(1, 5),
    s.out_w = Int(1, 5);
    s.channels = Int(1, 40);
    s.input_zero = ZeroPoint();
    std::vector<int32_t> bounds[4];
    const auto windows = [&](int size, int count, std::vector<int32_t>& begin,
                             std::vector<int32_t>& end) {
      for (int k = 0; k < count; ++k) {
        begin.push_back(Int(0, size - 1));
        end.push_back(Int(begin.back() + 1, size));
      }
    };
    windows(s.in_h, s.out_h, bounds[0], bounds[1]);
    windows(s.in_w, s.out_w, bounds[2], bounds[3]);
    s.row_begin = bounds[0].data(), s.row_end = bounds[1].data();
    s.column_begin = bounds[2].data(), s.column_end = bounds[3].data();
    std::set<int32_t> kinds;
    for (int y = 0; y < s.out_h; ++y) {
      for (int x = 0; x < s.out_w; ++x) {
        kinds.insert((s.row_end[y] - s.row_begin[y]) * (s.column_end[x] - s.column_begin[x]));
      }
    }
    const std::vector<int32_t> counts(kinds.begin(), kinds.end());
    const bool by_count = OneIn(2);
    s.counts = by_count ? counts.data() : nullptr;
    s.counts_size = by_count ? static_cast<int32_t>(counts.size()) : 0;
    const TensorRequantize tensor = RandomTensor();
    const auto channels =
        RandomChannels(static_cast<int64_t>(counts.size()), 128.0 * counts.back(), tensor);
    s.by_count = channels.data();

    const auto in = Levels(int64_t{s.in_h} * s.in_w * s.channels);
    std::vector<uint8_t> expected(size_t(s.out_h) * s.out_w * s.channels);
    definition::AvgPool(s, tensor, in->data(), expected.data());
    const test::GuardedBuffer out(expected.size());
    const auto workspace = Scratch(sizeof(int32_t) * s.channels);
    table().avg_pool(s, tensor, in->data(), out.data(), workspace->data());
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), out.data()));
    interior.Count(expected);
  }
  EXPECT_GT(interior.fraction(), 0.3);
}

}  // namespace
}  // namespace haq::kernels
