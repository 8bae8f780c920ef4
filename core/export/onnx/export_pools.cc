// Average pooling.
#include <algorithm>
#include <cmath>
#include <optional>

#include "core/export/onnx/exporter.h"

namespace haq::to_onnx {

namespace {

using artifact::Blob;
using artifact::Layer;

// The windows of one dimension as AveragePool describes them.
struct Regular {
  int64_t kernel = 0, stride = 1, before = 0, after = 0;
  bool cut = false;  // a window reaches into the padding
};

std::optional<Regular> Recognize(Blob<int32_t> begin, Blob<int32_t> end, int64_t size) {
  const auto count = static_cast<int64_t>(begin.size());
  Regular r;
  for (int64_t i = 0; i < count; ++i) r.kernel = std::max<int64_t>(r.kernel, end[i] - begin[i]);
  r.before = begin[0] == 0 ? r.kernel - end[0] : 0;
  if (count > 1) {
    r.stride = std::max<int64_t>(end[1] - end[0], begin[count - 1] - begin[count - 2]);
  }
  if (r.stride < 1 || r.before >= r.kernel || (begin[0] != 0 && r.before == 0)) return std::nullopt;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t start = i * r.stride - r.before;
    if (begin[i] != std::max<int64_t>(start, 0) || end[i] != std::min(start + r.kernel, size)) {
      return std::nullopt;
    }
    r.cut |= start < 0 || start + r.kernel > size;
  }
  r.after = std::max<int64_t>(0, (count - 1) * r.stride - r.before + r.kernel - size);
  if (r.after >= r.kernel) return std::nullopt;
  // Without the padding at the end there may be room for one more window.
  if ((size + r.before + r.after - r.kernel) / r.stride + 1 != count) return std::nullopt;
  return r;
}

// [windows, size] with 1 / divisor where a window is, or 1 / length with a divisor of 0.
std::vector<float> WindowMatrix(Blob<int32_t> begin, Blob<int32_t> end, int64_t size,
                                double divisor) {
  std::vector<float> matrix(begin.size() * size, 0);
  for (size_t i = 0; i < begin.size(); ++i) {
    const double d = divisor > 0 ? divisor : end[i] - begin[i];
    for (int64_t at = begin[i]; at < end[i]; ++at) {
      matrix[i * size + at] = static_cast<float>(1 / d);
    }
  }
  return matrix;
}

}  // namespace

// Sums by matrix products: any windows, any divisor.
std::string Exporter::EmitProducts(const Layer& layer, const artifact::PoolWindows& op,
                                   double divisor) {
  const artifact::Tensor& x = TensorAt(layer.inputs[0]);
  const int64_t height = x.shape[0], width = x.shape[1];
  const auto rows = static_cast<int64_t>(op.row_begin.size());
  const auto columns = static_cast<int64_t>(op.column_begin.size());
  const bool by_window = divisor == 0;
  const std::string left = writer_.Floats(layer.name + "_rows", {rows, height},
                                          WindowMatrix(op.row_begin, op.row_end, height, divisor));
  const std::vector<float> wide =
      WindowMatrix(op.column_begin, op.column_end, width, by_window ? 0 : 1);
  std::vector<float> transposed(wide.size());
  for (int64_t i = 0; i < columns; ++i) {
    for (int64_t j = 0; j < width; ++j) transposed[j * columns + i] = wide[i * width + j];
  }
  const std::string right = writer_.Floats(layer.name + "_columns", {width, columns}, transposed);
  const std::string of_rows =
      writer_.Node("MatMul", {left, Real(layer.inputs[0])}, layer.name + "_of_rows");
  return writer_.Node("MatMul", {of_rows, right}, layer.name);
}

// `divisor` 0: each window's own number of elements.
Status Exporter::EmitAverage(const Layer& layer, const artifact::PoolWindows& op, double divisor,
                             const Levels& levels) {
  const artifact::Tensor& x = TensorAt(layer.inputs[0]);
  const auto rows = Recognize(op.row_begin, op.row_end, x.shape[0]);
  const auto columns = Recognize(op.column_begin, op.column_end, x.shape[1]);
  const double area = rows && columns ? double(rows->kernel * columns->kernel) : 0;
  const bool of_area = divisor > 0 && std::abs(divisor / area - 1) < 1e-3;
  const bool one = op.row_begin.size() == 1 && op.column_begin.size() == 1;
  if (one && (divisor == 0 || of_area) && area == double(x.shape[0]) * x.shape[1]) {
    Finish(layer.output, writer_.Node("GlobalAveragePool", {Real(layer.inputs[0])}, layer.name),
           levels);
    return {};
  }
  if (area == 0 || !(divisor == 0 || of_area)) {
    Finish(layer.output, EmitProducts(layer, op, divisor), levels);
    return {};
  }
  const bool include_pad = of_area && (rows->cut || columns->cut);
  Finish(layer.output,
         writer_.Node("AveragePool", {Real(layer.inputs[0])}, layer.name,
                      {{"kernel_shape", {rows->kernel, columns->kernel}},
                       {"strides", {rows->stride, columns->stride}},
                       {"pads", {rows->before, columns->before, rows->after, columns->after}},
                       GraphWriter::Number("count_include_pad", include_pad ? 1 : 0)}),
         levels);
  return {};
}

Status Exporter::Emit(const Layer& layer, const artifact::AvgPool2d& op) {
  const double ratio = double(TensorAt(layer.inputs[0]).scale) / TensorAt(layer.output).scale;
  const fixedpoint::ChannelRequantize& r = op.by_count[0];
  const double m = std::ldexp(double(r.multiplier), -15 - r.shift - op.requantize.fraction_bits);
  return EmitAverage(layer, op, op.counts.empty() ? std::max(1.0, std::nearbyint(ratio / m)) : 0,
                     {op.requantize.q_min, {r.q_max}});
}

Status Exporter::Emit(const Layer& layer, const artifact::WideAvgPool2d& op) {
  const double ratio = double(TensorAt(layer.inputs[0]).scale) / TensorAt(layer.output).scale;
  const fixedpoint::WideChannel& r = op.by_count[0];
  const double m =
      std::ldexp(double(r.multiplier), -r.shift - r.pre_shift - fixedpoint::kWideFractionBits);
  return EmitAverage(layer, op, op.counts.empty() ? std::max(1.0, std::nearbyint(ratio / m)) : 0,
                     {op.q_min, {r.q_max}});
}

}  // namespace haq::to_onnx
