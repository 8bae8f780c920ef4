// Builds quantized models by hand: layers with random weights and plausible requantization, chained
// with the geometry worked out.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "core/artifact/model.h"

namespace haq::test {

struct ConvOptions {
  int32_t out_channels = 8, kernel = 1, stride = 1, padding = 0, dilation = 1, groups = 1;
  bool relu = true;       // clamps at the zero point, which becomes 0
  int32_t residual = -1;  // a tensor that it adds, if any
  bool wide = false;      // the output has 16 bits
};

// Every method adds one layer (or a tensor) and returns the index of its output tensor. Parameters
// are drawn from the seed, in such a way that levels spread over the whole range instead of
// saturating.
class ModelBuilder {
 public:
  // `shape` in stored order.
  ModelBuilder(std::vector<int32_t> shape, uint64_t seed, int32_t zero_point = 114,
               bool wide = false);

  int32_t input() const { return model_.input; }
  int32_t Conv(int32_t input, const ConvOptions& options);
  // Convolutions, linear layers, additions and average pools are the wide ones where a tensor that
  // they read or make has 16 bits. What moves levels keeps their width.
  int32_t Linear(int32_t input, int32_t outputs, bool wide = false);
  int32_t Add(int32_t a, int32_t b, bool wide = false);
  int32_t Mul(int32_t a, int32_t b);
  int32_t Table(int32_t input);
  // Inputs with another scale than the first one's go through a table.
  int32_t Concat(std::vector<int32_t> inputs, int32_t axis);
  int32_t MaxPool(int32_t input, int32_t kernel, int32_t stride, int32_t padding);
  // Windows cut at the edge, divided by their own count (`by_count`) or by kernel^2.
  int32_t AvgPool(int32_t input, int32_t kernel, int32_t stride, int32_t padding, bool by_count);
  int32_t GlobalAvgPool(int32_t input);
  int32_t Pad(int32_t input, const std::vector<int32_t>& before, const std::vector<int32_t>& after);
  int32_t Slice(int32_t input, int32_t axis, int32_t start, int32_t step, int32_t count);
  int32_t Transpose(int32_t input, const std::vector<int32_t>& order);
  int32_t Reshape(int32_t input, const std::vector<int32_t>& shape);
  int32_t Softmax(int32_t input);

  const artifact::Tensor& tensor(int32_t index) const { return model_.tensors[index]; }
  // The model with `output` as its output; verified.
  artifact::Model Finish(int32_t output);

 private:
  int32_t AddTensor(std::vector<int32_t> shape, float scale, int32_t zero_point, bool wide = false);
  bool IsWide(int32_t index) const { return tensor(index).type == artifact::DataType::kUint16; }
  int32_t AddTable(int32_t input, int32_t output);
  int32_t AddLike(int32_t input, std::vector<int32_t> shape);
  int32_t AddLayer(artifact::Op op, std::vector<int32_t> inputs, int32_t output);
  // Weights of `channels` dot products of `depth`, with their requantization for that output.
  struct Sums {
    artifact::Blob<int8_t> weight;
    bool wide = false;  // which of the two
    fixedpoint::LayerRequantize narrow_form;
    fixedpoint::WideLayerRequantize wide_form;
  };
  Sums Weights(int64_t channels, int64_t depth, int32_t input, int32_t output, int32_t residual);
  int Random(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  artifact::Model model_;
  std::mt19937_64 random_;
};

}  // namespace haq::test
