#include "core/pipeline/rounding.h"

#include <algorithm>

#include "core/runtime/edges.h"

namespace haq::pipeline {
namespace {

const std::vector<float>& WeightOf(const ir::Op& op) {
  const auto* conv = std::get_if<ir::Conv2d>(&op);
  return conv ? conv->weight.data : std::get<ir::Linear>(op).weight.data;
}

std::vector<float>& BiasOf(ir::Op& op) {
  auto* conv = std::get_if<ir::Conv2d>(&op);
  return conv ? conv->bias : std::get<ir::Linear>(op).bias;
}

template <typename T>
std::span<const uint8_t> BytesOf(const std::vector<T>& values) {
  return {reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(T)};
}

template <typename T>
std::vector<T> FromBytes(std::span<const uint8_t> bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  std::copy_n(bytes.data(), values.size() * sizeof(T), reinterpret_cast<uint8_t*>(values.data()));
  return values;
}

}  // namespace

Status Rounding::Run() {
  HAQ_RETURN_IF_ERROR(Prepare());
  const size_t total = learnable_.size();
  while (layers_.size() < total) {
    if (!prefix_) HAQ_RETURN_IF_ERROR(ReadImages());
    HAQ_RETURN_IF_ERROR(CollectTargets());
    for (std::unique_ptr<RoundingProblem>& problem : problems_) {
      HAQ_RETURN_IF_ERROR(context_.cancellation.Check());
      HAQ_RETURN_IF_ERROR(LearnLayer(*problem));
      problem.reset();
      HAQ_RETURN_IF_ERROR(
          context_.on_progress(static_cast<int64_t>(layers_.size()), static_cast<int64_t>(total)));
    }
  }
  return {};
}

Status Rounding::Prepare() {
  HAQ_RETURN_IF_ERROR(Lower());
  learnable_.clear();
  for (size_t i = 0; i < lowered_.sums.size(); ++i) {
    auto layer = DescribeRounding(graph_, lowered_, static_cast<int>(i));
    if (layer) learnable_.push_back(*std::move(layer));
  }
  return {};
}

Status Rounding::Lower() {
  HAQ_ASSIGN_OR_RETURN(lowered_, lower::Lower(graph_, context_.ranges, options_));
  return {};
}

Status Rounding::ReadImages() {
  const artifact::Tensor& input = lowered_.model.tensors[lowered_.model.input];
  const int64_t elements = input.ElementCount();
  const size_t bytes = StoredBytes(input);
  HAQ_ASSIGN_OR_RETURN(const kernels::KernelTable* const kernels, kernels::ActiveKernels());
  std::vector<uint8_t> stored;
  HAQ_RETURN_IF_ERROR(context_.for_each_batch([&](const Batch& batch) -> Status {
    stored.resize((images_ + batch.n) * bytes);
    for (int64_t i = 0; i < batch.n; ++i, ++images_) {
      runtime::QuantizeSample(input, *kernels, batch.input.data() + i * elements,
                              stored.data() + images_ * bytes, {});
    }
    return {};
  }));
  prefix_ = std::make_unique<IntegerPrefix>(std::move(stored), images_, limits_.prefix_bytes,
                                            context_.pool);
  return {};
}

Status Rounding::CollectTargets() {
  problems_.clear();
  std::vector<std::vector<RoundingProblem*>> of_value(graph_.values.size());
  float_exec::Executor::ObserverNeeds needs{std::vector<bool>(graph_.values.size(), false), false};
  size_t bytes = 0;
  for (size_t i = layers_.size(); i < learnable_.size(); ++i) {
    const RoundingLayer& layer = learnable_[i];
    auto problem = std::make_unique<RoundingProblem>(layer, images_, limits_);
    bytes += problem->TargetBytes();
    if (!problems_.empty() && bytes > limits_.target_bytes) break;
    problem->AllocateTargets();
    of_value[layer.target].push_back(problem.get());
    needs.values[layer.target] = true;
    problems_.push_back(std::move(problem));
  }
  HAQ_ASSIGN_OR_RETURN(const int64_t outputs, ir::ElementCount(graph_.values[graph_.output].shape));
  std::vector<float> output;
  int64_t done = 0;
  return context_.for_each_batch([&](const Batch& batch) -> Status {
    output.resize(batch.n * outputs);
    const auto observe = [&](ir::ValueId value, std::span<const float> elements) {
      const size_t size = elements.size() / batch.n;
      context_.executor.ParallelFor(batch.n, [&](int64_t i) {
        for (RoundingProblem* problem : of_value[value]) {
          problem->AddTarget(done + i, elements.subspan(i * size, size));
        }
      });
    };
    HAQ_RETURN_IF_ERROR(context_.executor.Run(batch.n, batch.input, output, observe, needs));
    done += batch.n;
    return {};
  });
}

Status Rounding::LearnLayer(RoundingProblem& rows) {
  const RoundingLayer& layer = rows.layer();
  const lower::SumWeights& sum = lowered_.sums[layer.sum];
  const artifact::Model& model = lowered_.model;
  rows.AllocateInputs();
  std::vector<int32_t> tensors{layer.input};
  if (layer.summand >= 0) tensors.push_back(layer.summand);
  HAQ_RETURN_IF_ERROR(
      prefix_->Visit(model, sum.layer, tensors,
                     [&](int64_t image, int32_t tensor, std::span<const uint8_t> bytes) {
                       if (tensor == layer.input)
                         rows.AddInput(model.tensors[tensor], image, bytes);
                       if (tensor == layer.summand)
                         rows.AddSummand(model.tensors[tensor], image, bytes);
                     }));
  adaround::Options options;
  options.fit_bias = context_.fit_bias;
  Status progress;
  const auto learned = adaround::Learn(
      Complete(rows), options, context_.pool, context_.cancellation, [&](double share) {
        if (share < 1 && progress.ok()) {
          progress = context_.on_progress(static_cast<int64_t>(layers_.size()),
                                          static_cast<int64_t>(learnable_.size()));
        }
      });
  HAQ_RETURN_IF_ERROR(progress);
  if (!learned.ok()) {
    return learned.status().WithContext(fmt::format("layer \"{}\"", graph_.nodes[sum.node].name));
  }
  Adopt({sum.node, learned->weights, context_.fit_bias ? learned->bias : std::vector<float>(),
         layer.outputs, learned->learned_outputs, learned->nearest_error, learned->error});
  return Lower();
}

// The weights of a linear layer that reads an image stand in the image's stored order.
adaround::Problem& Rounding::Complete(RoundingProblem& rows) const {
  const RoundingLayer& layer = rows.layer();
  const lower::SumWeights& sum = lowered_.sums[layer.sum];
  ir::Op op = graph_.nodes[sum.node].op;
  adaround::Problem& problem = rows.problem();
  int64_t pixels = layer.kernel_h * layer.kernel_w;
  if (std::holds_alternative<ir::Linear>(op)) {
    const std::vector<int32_t>& shape = lowered_.model.tensors[layer.input].shape;
    pixels = shape.size() == 3 ? int64_t{shape[0]} * shape[1] : 1;
  }
  problem.weight =
      lower::ToStoredOrder(WeightOf(op), layer.outputs, layer.inputs() / pixels, pixels);
  problem.scales = sum.weights.scales;
  problem.bias = BiasOf(op);
  if (problem.bias.empty()) problem.bias.assign(layer.outputs, 0);
  return problem;
}

void Rounding::Adopt(LearnedLayer layer) {
  const auto sum = std::find_if(lowered_.sums.begin(), lowered_.sums.end(),
                                [&](const auto& other) { return other.node == layer.node; });
  options_.chosen_weights.push_back(*sum);
  options_.chosen_weights.back().weights.values = layer.weights;
  if (!layer.bias.empty()) BiasOf(graph_.nodes[layer.node].op) = layer.bias;
  layers_.push_back(std::move(layer));
}

void Rounding::Save(ByteWriter& writer) const {
  writer.Write<uint64_t>(layers_.size());
  for (const LearnedLayer& layer : layers_) {
    writer.Write<int64_t>(layer.node);
    writer.WriteBytes(BytesOf(layer.weights));
    writer.WriteBytes(BytesOf(layer.bias));
    writer.Write(layer.outputs);
    writer.Write(layer.learned_outputs);
    writer.Write(layer.nearest_error);
    writer.Write(layer.error);
  }
}

Status Rounding::Restore(ByteReader& reader) {
  HAQ_RETURN_IF_ERROR(Prepare());
  const auto count = reader.Read<uint64_t>();
  for (uint64_t i = 0; i < count && !reader.failed(); ++i) {
    LearnedLayer layer;
    layer.node = static_cast<int>(reader.Read<int64_t>());
    layer.weights = FromBytes<int8_t>(reader.ReadBytes());
    layer.bias = FromBytes<float>(reader.ReadBytes());
    layer.outputs = reader.Read<int64_t>();
    layer.learned_outputs = reader.Read<int64_t>();
    layer.nearest_error = reader.Read<double>();
    layer.error = reader.Read<double>();
    if (i >= learnable_.size() || layer.node != SumOf(i).node ||
        layer.weights.size() != SumOf(i).weights.values.size() ||
        layer.bias.size() != (context_.fit_bias ? SumOf(i).weights.scales.size() : 0)) {
      return DataLoss("the learned rounding is of another network");
    }
    Adopt(std::move(layer));
  }
  return reader.failed() ? DataLoss("the learned rounding is cut off") : Status();
}

}  // namespace haq::pipeline
