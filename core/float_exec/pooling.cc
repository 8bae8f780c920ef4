#include <algorithm>
#include <limits>
#include <optional>

#include "core/float_exec/kernels.h"

namespace haq::float_exec {

namespace {

// The kernel, stride and padding that give exactly these windows, cut to `size`, in ATen's pooling.
struct RegularWindows {
  int64_t kernel, stride, padding;
  bool ceil_mode;
};

std::optional<RegularWindows> Recognize(const std::vector<int64_t>& begin,
                                        const std::vector<int64_t>& end, int64_t size) {
  const auto count = static_cast<int64_t>(begin.size());
  RegularWindows w{0, 1, 0, false};
  for (int64_t i = 0; i < count; ++i) w.kernel = std::max(w.kernel, end[i] - begin[i]);
  w.padding = begin[0] == 0 ? w.kernel - end[0] : 0;
  // The first window may be cut: ends tell the stride, unless the last one is cut too.
  if (count > 1) w.stride = std::max(end[1] - end[0], begin[count - 1] - begin[count - 2]);
  if (w.stride < 1 || w.padding > w.kernel / 2) return std::nullopt;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t start = i * w.stride - w.padding;
    if (begin[i] != std::max<int64_t>(start, 0) || end[i] != std::min(start + w.kernel, size)) {
      return std::nullopt;
    }
  }
  const int64_t rest = size + 2 * w.padding - w.kernel;
  if (rest >= 0 && rest / w.stride + 1 == count) return w;
  w.ceil_mode = true;
  int64_t made = (rest + w.stride - 1) / w.stride + 1;
  if ((made - 1) * w.stride >= size + w.padding) --made;
  if (rest < 0 || made != count) return std::nullopt;
  return w;
}

// [windows, size] of ones where a window is: sums by matrix product.
at::Tensor WindowMatrix(const std::vector<int64_t>& begin, const std::vector<int64_t>& end,
                        int64_t size) {
  at::Tensor matrix = at::zeros({static_cast<int64_t>(begin.size()), size});
  for (size_t i = 0; i < begin.size(); ++i) {
    matrix[static_cast<int64_t>(i)].slice(0, begin[i], end[i]).fill_(1);
  }
  return matrix;
}

Kernel MakeIrregularAvgPool(const ir::AvgPool2d& op, const ir::Shape& input) {
  at::Tensor rows = WindowMatrix(op.row_begin, op.row_end, input[2]);
  at::Tensor columns = WindowMatrix(op.column_begin, op.column_end, input[3]);
  if (op.divisor == 0) {
    rows = rows / rows.sum(1, true);
    columns = columns / columns.sum(1, true);
  } else {
    rows = rows / op.divisor;
  }
  columns = columns.t().contiguous();
  return [rows, columns](const std::vector<at::Tensor>& inputs, bool) {
    return at::matmul(at::matmul(rows, inputs[0].contiguous()), columns);
  };
}

bool IsGlobal(const ir::AvgPool2d& op, const ir::Shape& input) {
  return op.divisor == 0 && op.row_begin.size() == 1 && op.column_begin.size() == 1 &&
         op.row_begin[0] == 0 && op.row_end[0] == input[2] && op.column_begin[0] == 0 &&
         op.column_end[0] == input[3];
}

}  // namespace

Kernel MakeAvgPool(const ir::AvgPool2d& op, const ir::Shape& input) {
  if (IsGlobal(op, input)) {
    return [](const std::vector<at::Tensor>& inputs, bool) {
      return at::adaptive_avg_pool2d(inputs[0], {1, 1});
    };
  }
  const auto rows = Recognize(op.row_begin, op.row_end, input[2]);
  const auto columns = Recognize(op.column_begin, op.column_end, input[3]);
  // ATen has one ceil_mode for both dimensions.
  if (!rows || !columns || rows->ceil_mode != columns->ceil_mode) {
    return MakeIrregularAvgPool(op, input);
  }
  const c10::optional<int64_t> divisor =
      op.divisor == 0 ? c10::nullopt : c10::optional<int64_t>(op.divisor);
  return [rows, columns, divisor](const std::vector<at::Tensor>& inputs, bool) {
    return at::avg_pool2d(inputs[0], {rows->kernel, columns->kernel},
                          {rows->stride, columns->stride}, {rows->padding, columns->padding},
                          rows->ceil_mode, /*count_include_pad=*/false, divisor);
  };
}

Kernel MakeMaxPool(const ir::MaxPool2d& op, const ir::Shape& input, const ir::Shape& output) {
  const ir::Padding2d& p = op.padding;
  std::array<int64_t, 2> padding{p.top, p.left};
  std::array<int64_t, 4> extra{};  // left, right, top, bottom, as ATen counts
  const std::array<int64_t, 2> after{p.bottom, p.right};
  for (int i = 0; i < 2; ++i) {
    // ATen pads both sides alike, and by half a kernel at most.
    int64_t& before = extra[i == 0 ? 2 : 0];
    if (padding[i] > op.kernel[i] / 2) before = std::exchange(padding[i], 0);
    const int64_t span = op.dilation[i] * (op.kernel[i] - 1) + 1;
    const int64_t needed = (output[i + 2] - 1) * op.stride[i] + span;
    const int64_t have = input[i + 2] + before + 2 * padding[i];
    extra[i == 0 ? 3 : 1] = std::clamp<int64_t>(needed - have, 0, after[i]);
  }
  const bool pads = extra != std::array<int64_t, 4>{};
  return [op, padding, extra, pads, height = output[2], width = output[3]](
             const std::vector<at::Tensor>& inputs, bool) {
    at::Tensor x = inputs[0];
    if (pads) x = at::constant_pad_nd(x, extra, -std::numeric_limits<float>::infinity());
    const at::Tensor y = at::max_pool2d(x, op.kernel, op.stride, padding, op.dilation);
    return y.narrow(2, 0, height).narrow(3, 0, width);
  };
}

}  // namespace haq::float_exec
