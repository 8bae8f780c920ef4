// Makes the graph layer by layer. Private to this folder.
//
// Where the artifact stores an image [H, W, C], the graph has [N, C, H, W]. A transposition of
// stored dimensions costs nothing until somebody needs the other order: a value remembers how its
// dimensions lie.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/artifact/model.h"
#include "core/base/status.h"
#include "core/export/onnx/export.h"
#include "core/export/onnx/graph_writer.h"

namespace haq::to_onnx {

// What a tensor of the artifact is in the graph: levels of 8 bits, or floats for one of 16.
struct Value {
  std::string name;
  bool is_real = false;
  Shape shape;                  // as the graph has it; the batch is 1 here
  std::vector<int64_t> stored;  // stored dimension i (the batch is 0) is dimension stored[i] of it
};

// Levels between which a layer clamps its output.
struct Levels {
  int32_t low = 0;
  std::vector<int32_t> high;  // one for all channels, or one each
};

class Exporter {
 public:
  Exporter(const artifact::Model& model, const QdqOptions& options);
  Result<::onnx::ModelProto> Run();

 private:
  struct Sum;  // export_sums.cc
  const artifact::Tensor& TensorAt(int32_t index) const { return model_.tensors[index]; }
  static bool IsWide(const artifact::Tensor& tensor) {
    return tensor.type == artifact::DataType::kUint16;
  }

  void AddInput();
  void AddOutput();
  void AddMetadata(::onnx::ModelProto& proto) const;

  // The order that operators on images want: the graph's dimensions 0, 2, 3, 1 are the stored ones.
  static std::vector<int64_t> Natural(size_t stored_rank);
  // Dimension of the graph for dimension `axis` of a stored shape without the batch.
  static int64_t NaturalAxis(const artifact::Tensor& tensor, int32_t axis);
  static Shape NaturalShape(const artifact::Tensor& tensor);

  // Names of the tensor's scale and zero point.
  std::string ScaleOf(int32_t tensor);
  std::string ZeroPointOf(int32_t tensor);
  // The tensor's value as floats, in the order asked for: a DequantizeLinear of its own for every
  // reader, which is how runtimes recognize what they can fuse.
  std::string Real(int32_t tensor, const std::vector<int64_t>& stored);
  std::string Real(int32_t tensor) { return Real(tensor, Natural(TensorAt(tensor).shape.size())); }
  // A transposition of the float value `name`, of that shape, whose dimensions lie as in `from`.
  std::string Arrange(const std::string& name, const Shape& shape, const std::vector<int64_t>& from,
                      const std::vector<int64_t>& to, const std::string& hint);

  // Says that the tensor is the float value `real`, clamped: quantized unless it has 16 bits.
  void Finish(int32_t tensor, std::string real, const Levels& levels);
  void Finish(int32_t tensor, std::string real) { Finish(tensor, std::move(real), {}); }
  std::string ClampReal(int32_t tensor, const std::string& real, const Levels& levels);
  // Levels between the given ones: real numbers once more, behind what runtimes fuse.
  std::string ClampLevels(int32_t tensor, const std::string& quantized, const Levels& levels);
  bool Clamps(int32_t tensor, const Levels& levels) const;

  Status Export(const artifact::Layer& layer);
  Status Emit(const artifact::Layer& layer, const artifact::Conv2d& op);
  Status Emit(const artifact::Layer& layer, const artifact::WideConv2d& op);
  Status Emit(const artifact::Layer& layer, const artifact::Linear& op);
  Status Emit(const artifact::Layer& layer, const artifact::WideLinear& op);
  Status Emit(const artifact::Layer& layer, const artifact::Add& op);
  Status Emit(const artifact::Layer& layer, const artifact::WideAdd& op);
  Status Emit(const artifact::Layer& layer, const artifact::Mul& op);
  Status Emit(const artifact::Layer& layer, const artifact::Table& op);
  Status Emit(const artifact::Layer& layer, const artifact::Concat& op);
  Status Emit(const artifact::Layer& layer, const artifact::MaxPool2d& op);
  Status Emit(const artifact::Layer& layer, const artifact::AvgPool2d& op);
  Status Emit(const artifact::Layer& layer, const artifact::WideAvgPool2d& op);
  Status Emit(const artifact::Layer& layer, const artifact::Pad& op);
  Status Emit(const artifact::Layer& layer, const artifact::Slice& op);
  Status Emit(const artifact::Layer& layer, const artifact::Transpose& op);
  Status Emit(const artifact::Layer& layer, const artifact::Reshape& op);
  Status Emit(const artifact::Layer& layer, const artifact::Softmax& op);

  // export_sums.cc
  Sum SumOf(const artifact::Layer& layer, artifact::Blob<int8_t> weight,
            const fixedpoint::TensorRequantize& requantize,
            artifact::Blob<fixedpoint::ChannelRequantize> channels) const;
  Sum SumOf(const artifact::Layer& layer, artifact::Blob<int8_t> weight,
            artifact::Blob<fixedpoint::WideChannel> channels) const;
  std::string Dequantized(const std::string& quantized, const std::vector<float>& scales,
                          const std::string& name, bool of_weights);
  std::string WeightOf(const artifact::Layer& layer, const Sum& sum, const Shape& shape,
                       const std::vector<int8_t>& weight);
  std::string BiasOf(const artifact::Layer& layer, const Sum& sum, double shift);
  void EmitConv(const artifact::Layer& layer, const artifact::Window& window, int32_t groups,
                artifact::Blob<int8_t> weight, const Sum& sum, const Levels& levels);
  std::string EmitParts(const artifact::Layer& layer, const Sum& sum,
                        const std::vector<GraphWriter::Attribute>& attributes,
                        const std::string& weight);
  void EmitLinear(const artifact::Layer& layer, artifact::Blob<int8_t> weight, const Sum& sum,
                  const Levels& levels);
  // export_pools.cc
  Status EmitAverage(const artifact::Layer& layer, const artifact::PoolWindows& op, double divisor,
                     const Levels& levels);
  std::string EmitProducts(const artifact::Layer& layer, const artifact::PoolWindows& op,
                           double divisor);

  const artifact::Model& model_;
  const QdqOptions& options_;
  GraphWriter writer_;
  std::vector<Value> values_;  // by tensor
  std::map<int32_t, std::string> scales_, zero_points_;
  std::map<std::string, std::pair<double, double>> sum_ranges_;  // by layer, from the metadata
};

}  // namespace haq::to_onnx
