// The quantized model in memory: what lower builds, the writer stores, the reader returns and the
// runtime runs. Everything is integers but the scales of the tensors, which only the edges
// (quantize the input, dequantize the output) and reports use.
//
// Layout. Tensors of rank 4 (from [N, C, H, W]) are stored [N, H, W, C]; tensors of other ranks are
// stored as they are. Shapes here are the stored ones and leave the batch out: {H, W, C}, or
// {features}.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/artifact/limits.h"
#include "core/base/file.h"
#include "core/base/sha256.h"
#include "core/base/status.h"
#include "core/fixedpoint/requantize.h"
#include "core/fixedpoint/wide.h"

namespace haq::artifact {

enum class DataType : uint8_t {
  kUint8 = 1,   // real = scale * (q - zero_point)
  kUint16 = 2,  // the same with 16 bits
};
constexpr int32_t LastLevel(DataType type) { return type == DataType::kUint16 ? 65535 : 255; }
constexpr int32_t LevelBytes(DataType type) { return type == DataType::kUint16 ? 2 : 1; }

struct Tensor {
  std::string name;  // of the value in the source graph, or of the helper that lowering added
  DataType type = DataType::kUint8;
  std::vector<int32_t> shape;  // stored order, without the batch
  float scale = 1;
  int32_t zero_point = 0;
  int64_t ElementCount() const {
    int64_t count = 1;
    for (const int32_t dimension : shape) count *= dimension;
    return count;
  }
};

// Read-only numbers that live in the mapped file or in memory owned by the model.
template <typename T>
using Blob = std::span<const T>;

struct Padding {
  int32_t top = 0, left = 0, bottom = 0, right = 0;
};

// What slides over an image.
struct Window {
  int32_t kernel_h = 1, kernel_w = 1, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  Padding padding;
};

// Sums of products of 8-bit levels. Tensors have 8 bits unless said otherwise.

// weight [O][KH][KW][C / groups]; padding pads with the input's zero point. A second input, of the
// output's shape, is a residual: it is added before the last rounding.
struct Conv2d : Window {
  Blob<int8_t> weight;
  int32_t groups = 1;
  fixedpoint::TensorRequantize requantize;
  int16_t residual_multiplier = 0;               // 0 without a residual
  Blob<fixedpoint::ChannelRequantize> channels;  // O
};
// weight [O][I]; the input is read as one vector of I values a sample.
struct Linear {
  Blob<int8_t> weight;
  fixedpoint::TensorRequantize requantize;
  Blob<fixedpoint::ChannelRequantize> channels;
};
// b has a's shape, or {1, 1, C} beside {H, W, C}.
struct Add {
  fixedpoint::AddRequantize requantize;
};
// acc = (a - z_a) * (b - z_b) + bias. b has a's shape, or {1, 1, C} beside {H, W, C}.
struct Mul {
  fixedpoint::TensorRequantize requantize;
  fixedpoint::ChannelRequantize channel;
};
// q = table[x]: every function of one 8-bit value, and changes of scale.
struct Table {
  std::array<uint8_t, 256> table{};
};
// Output (i, j) averages rows [row_begin[i], row_end[i]) and columns [column_begin[j],
// column_end[j]). acc = sum(x - z_x) + bias, requantized with by_count[k], where counts[k] is the
// window's element count, or with by_count[0] when counts is empty (every window has the same
// divisor).
struct PoolWindows {
  Blob<int32_t> row_begin, row_end, column_begin, column_end;
  Blob<int32_t> counts;
};
struct AvgPool2d : PoolWindows {
  Blob<fixedpoint::ChannelRequantize> by_count;
  fixedpoint::TensorRequantize requantize;
};

// From here to Reshape: input and output have the same type, of either width.

// Inputs share the output's scale and zero point; `axis` in the stored order, without the batch.
struct Concat {
  int32_t axis = 0;
};
// Input and output share scale and zero point; windows are cut at the edge of the image.
struct MaxPool2d : Window {};
// Pads in the stored order with `value` (a level: the input's quantization of the padding).
struct Pad {
  std::vector<int32_t> before, after;
  uint16_t value = 0;
};
// Elements start, start + step, ... of `axis` (stored order, without the batch).
struct Slice {
  int32_t axis = 0, start = 0, step = 1;
};
// Stored output dimension i is stored input dimension order[i] (without the batch).
struct Transpose {
  std::vector<int32_t> order;
};
// The same bytes under another shape.
struct Reshape {};
// Over the last stored dimension. e[d] = table[q_max - q], a Q24 exponential of the distance from
// the row's maximum; output uint16 p = (e * 65535 + sum / 2) / sum, scale 1 / 65535, zero point 0.
struct Softmax {
  Blob<uint32_t> table;  // 256
};

// The same as their namesakes between tensors of either width, with the arithmetic of
// core/fixedpoint/wide.h.
struct WideConv2d : Window {
  Blob<int8_t> weight;
  int32_t groups = 1;
  uint16_t q_min = 0;
  int64_t residual_multiplier = 0;  // 0 without a residual
  Blob<fixedpoint::WideChannel> channels;
};
struct WideLinear {
  Blob<int8_t> weight;
  uint16_t q_min = 0;
  Blob<fixedpoint::WideChannel> channels;
};
struct WideAdd {
  fixedpoint::WideAddRequantize requantize;
};
struct WideAvgPool2d : PoolWindows {
  Blob<fixedpoint::WideChannel> by_count;
  uint16_t q_min = 0;
};

using Op =
    std::variant<Conv2d, Linear, Add, Mul, Table, Concat, MaxPool2d, AvgPool2d, Pad, Slice,
                 Transpose, Reshape, Softmax, WideConv2d, WideLinear, WideAdd, WideAvgPool2d>;
std::string_view OpName(const Op& op);
// Of convolutions and linear layers of either width; empty for all others.
Blob<int8_t> WeightsOf(const Op& op);

struct Layer {
  std::string name;  // of the node in the source graph
  Op op;
  std::vector<int32_t> inputs;  // indices of tensors
  int32_t output = 0;
  // Overflow certificate: the accumulator (bias included) stays in this range for every input.
  // Zeros for operators without accumulator. Inside int32 but for the wide operators, whose bias is
  // added in 64 bits; their sums of products by the high and by the low bytes of a 16-bit input
  // each stay inside int32.
  int64_t acc_min = 0, acc_max = 0;
};

// What the scalar reference makes of an input that its seed tells; see core/runtime/self_test.h.
struct Golden {
  uint64_t seed = 0;
  Sha256Digest output_sha256{};  // of the output's stored levels
  bool operator==(const Golden&) const = default;
};

struct Model {
  std::vector<Tensor> tensors;
  std::vector<Layer> layers;  // in order of execution
  int32_t input = 0, output = 0;
  std::vector<int64_t> input_shape;  // as the user gave it: [C, H, W]
  std::string preprocess_json;       // docs/preprocessing.md; "{}" when none
  std::vector<std::string> class_names;
  std::string metadata_json;  // method, scheme, weights, source digest, per-tensor decisions
  std::vector<Golden> golden;

  // What keeps the blobs alive: the mapped file, or the arrays that lowering filled.
  std::shared_ptr<const MappedFile> file;
  std::vector<std::shared_ptr<const void>> storage;

  // Moves an array into the model and returns the view of it.
  template <typename T>
  Blob<T> Own(std::vector<T> values) {
    auto owned = std::make_shared<const std::vector<T>>(std::move(values));
    storage.push_back(owned);
    return *owned;
  }
};

// The tightest range that `layer`'s accumulator, bias included, can take over all inputs and all
// output channels; every partial sum lies in it too. {0, 0} for operators without accumulator (all
// but convolutions, linear layers, Mul and average pooling). The layer's tensors and blobs must
// agree, as Verify checks.
struct AccumulatorBounds {
  int64_t min = 0, max = 0;
};
AccumulatorBounds BoundAccumulator(const Model& model, const Layer& layer);

// Everything the comments above promise (indices, shapes, sizes of blobs, ranges of parameters, the
// accumulator's certificate recomputed from the weights), so that the runtime can trust a model
// that passed. kDataLoss for what disagrees, kUnsupported for what this build cannot run,
// kResourceExhausted for what exceeds `limits`; names the layer or the tensor.
Status Verify(const Model& model, const ArtifactLimits& limits = {});

}  // namespace haq::artifact
