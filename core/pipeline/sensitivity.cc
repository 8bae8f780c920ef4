#include "core/pipeline/sensitivity.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace haq::pipeline {
namespace {

// All values of the images that are run at a time are kept in memory: 64 MiB, or one image.
constexpr int64_t kKeptElements = 16 << 20;

// Multiply-adds of all reruns together: some ten seconds on two cores.
constexpr double kWork = 400e9;
// To read and write an element takes as long as this many multiply-adds of a convolution.
constexpr double kElementWork = 16;
// The noise that a tensor makes differs from image to image by about its own size, so that eight of
// them give it within 1.5 dB, 64 within half a dB.
constexpr int64_t kFewestImages = 8, kMostImages = 64;

// How many reruns stand between two chances to end the work.
constexpr int64_t kRerunsAtATime = 16;

int64_t Elements(const ir::Graph& graph, ir::ValueId value) {
  return *ir::ElementCount(graph.values[value].shape);
}

int64_t ImagesAtATime(const ir::Graph& graph) {
  int64_t all = 0;
  for (size_t value = 0; value < graph.values.size(); ++value) {
    all += Elements(graph, static_cast<ir::ValueId>(value));
  }
  return std::clamp<int64_t>(kKeptElements / all, 1, kMostImages);
}

bool HasWeights(const ir::Op& op) {
  return std::holds_alternative<ir::Conv2d>(op) || std::holds_alternative<ir::Linear>(op) ||
         std::holds_alternative<ir::ChannelAffine>(op);
}

double WorkOf(const ir::Graph& graph, const ir::Node& node) {
  double per_output = kElementWork;
  if (const auto* conv = std::get_if<ir::Conv2d>(&node.op)) {
    const ir::Shape& shape = conv->weight.shape;
    per_output += static_cast<double>(shape[1] * shape[2] * shape[3]);
  }
  if (const auto* linear = std::get_if<ir::Linear>(&node.op)) {
    per_output += static_cast<double>(linear->weight.shape[1]);
  }
  return per_output * static_cast<double>(Elements(graph, node.output));
}

// Of the nodes that depend on `value`.
double WorkFrom(const ir::Graph& graph, ir::ValueId value) {
  std::vector<bool> differs(graph.values.size());
  differs[value] = true;
  double work = 0;
  for (const ir::Node& node : graph.nodes) {
    if (std::none_of(node.inputs.begin(), node.inputs.end(), [&](auto in) { return differs[in]; }))
      continue;
    differs[node.output] = true;
    work += WorkOf(graph, node);
  }
  return work;
}

// A tensor's levels as the integer model has them: rounded with ties to even, like its input.
class FakeQuantizer {
 public:
  explicit FakeQuantizer(const artifact::Tensor& tensor)
      : scale_(tensor.scale),
        low_(static_cast<float>(-tensor.zero_point)),
        high_((tensor.type == artifact::DataType::kUint16 ? 65535.0f : 255.0f) + low_) {}

  // Replaces the values by those that their levels stand for.
  void Apply(std::span<float> values) const {
    for (float& value : values) {
      value = scale_ * (std::clamp(value / scale_, low_, high_) + kRounder - kRounder);
    }
  }

  // Counts those that lie beyond the end levels by more than half a step.
  void CountSaturated(std::span<const float> values, TensorSensitivity& tensor) const {
    const float low = (low_ - 0.5f) * scale_, high = (high_ + 0.5f) * scale_;
    for (const float value : values) {
      tensor.below += value < low;
      tensor.above += value > high;
    }
    tensor.values += static_cast<int64_t>(values.size());
  }

 private:
  // Adding and subtracting 1.5 * 2^23 rounds any |x| < 2^22 to an integer.
  static constexpr float kRounder = 12582912.0f;
  float scale_, low_, high_;  // steps from zero
};

// The elements of some inputs of a concatenation, in the row-major elements of its output.
std::vector<std::span<float>> PartsOf(const ir::Graph& graph, const ir::Node& concat,
                                      const std::vector<int>& inputs, int64_t n,
                                      std::span<float> elements) {
  const ir::Shape& shape = graph.values[concat.output].shape;
  const int64_t axis = std::get<ir::Concat>(concat.op).axis;
  const auto product = [&](int64_t from, int64_t to) {
    return std::accumulate(shape.begin() + from, shape.begin() + to, int64_t{1},
                           std::multiplies<>());
  };
  const int64_t outer = n * product(1, axis), inner = product(axis + 1, shape.size());
  std::vector<std::span<float>> parts;
  int64_t offset = 0;
  for (size_t i = 0; i < concat.inputs.size(); ++i) {
    const int64_t size = graph.values[concat.inputs[i]].shape[axis];
    if (std::find(inputs.begin(), inputs.end(), static_cast<int>(i)) != inputs.end()) {
      for (int64_t row = 0; row < outer; ++row) {
        parts.push_back(elements.subspan((row * shape[axis] + offset) * inner, size * inner));
      }
    }
    offset += size;
  }
  return parts;
}

// [O][HW][I], the order of images in the model, to [O][I][HW], the graph's.
std::vector<float> Dequantize(const quant::QuantizedWeights& weights, int64_t i, int64_t hw) {
  std::vector<float> real(weights.values.size());
  for (size_t o = 0; o < weights.scales.size(); ++o) {
    const int8_t* from = weights.values.data() + o * i * hw;
    float* to = real.data() + o * i * hw;
    for (int64_t at = 0; at < hw; ++at) {
      for (int64_t channel = 0; channel < i; ++channel) {
        to[channel * hw + at] = static_cast<float>(*from++ * weights.scales[o]);
      }
    }
  }
  return real;
}

// The operator with the weights that the integers stand for.
ir::Op WithWeights(ir::Op op, const lower::SumWeights& sum, const artifact::Model& model) {
  if (auto* conv = std::get_if<ir::Conv2d>(&op)) {
    const ir::Shape& shape = conv->weight.shape;
    conv->weight.data = Dequantize(sum.weights, shape[1], shape[2] * shape[3]);
  } else {
    auto& linear = std::get<ir::Linear>(op);
    // One that reads an image directly has its weights in the image's order.
    const auto& input = model.tensors[model.layers[sum.layer].inputs[0]].shape;
    const int64_t hw = input.size() == 3 ? int64_t{input[0]} * input[1] : 1;
    linear.weight.data = Dequantize(sum.weights, linear.weight.shape[1] / hw, hw);
  }
  return op;
}

}  // namespace

Sensitivity::Sensitivity(const ir::Graph& graph, const lower::Lowered& lowered)
    : graph_(graph),
      lowered_(lowered),
      input_elements_(Elements(graph, graph.input)),
      output_elements_(Elements(graph, graph.output)),
      chunk_(ImagesAtATime(graph)),
      judged_for_dead_(graph.values.size(), -1) {
  for (TensorOrigin& origin : FindOrigins(lowered)) {
    tensors_.emplace_back().origin = std::move(origin);
  }
  for (size_t sum = 0; sum < lowered.sums.size(); ++sum) {
    const int32_t output = lowered.model.layers[lowered.sums[sum].layer].output;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      if (lowered.decisions[i].tensor == output) tensors_[i].sum = static_cast<int>(sum);
    }
  }
  std::vector<bool> weighted(graph.values.size());  // what a layer with weights makes, clamped
  for (const ir::Node& node : graph.nodes) {
    const bool clamps = std::holds_alternative<ir::Clamp>(node.op);
    weighted[node.output] = HasWeights(node.op) || (clamps && weighted[node.inputs[0]]);
  }
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const ir::ValueId value = lowered.decisions[i].value;
    if (!weighted[value]) continue;
    judged_for_dead_[value] = static_cast<int>(i);
    tensors_[i].dead.assign(graph.values[value].shape[1], true);
  }
}

Status Sensitivity::Add(float_exec::Executor& executor, int64_t n, std::span<const float> images,
                        const std::function<Status()>& between) {
  for (int64_t at = 0; at < n; at += chunk_) {
    const int64_t count = std::min(chunk_, n - at);
    HAQ_RETURN_IF_ERROR(AddChunk(
        executor, count, images.subspan(at * input_elements_, count * input_elements_), between));
  }
  return {};
}

Status Sensitivity::AddChunk(float_exec::Executor& executor, int64_t n,
                             std::span<const float> images,
                             const std::function<Status()>& between) {
  HAQ_RETURN_IF_ERROR(RunReference(executor, n, images));
  std::vector<std::function<Status()>> reruns;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (tensors_[i].origin.rounds) reruns.push_back([&, i] { return Isolate(executor, n, i); });
    if (tensors_[i].sum >= 0) reruns.push_back([&, i] { return IsolateWeights(executor, i); });
  }
  const auto count = static_cast<int64_t>(reruns.size());
  for (int64_t at = 0; at < count; at += kRerunsAtATime) {
    HAQ_RETURN_IF_ERROR(between());
    std::vector<Status> results(std::min(kRerunsAtATime, count - at));
    executor.ParallelFor(static_cast<int64_t>(results.size()),
                         [&](int64_t i) { results[i] = reruns[at + i](); });
    for (const Status& result : results) HAQ_RETURN_IF_ERROR(result);
  }
  executor.Forget();
  images_ += n;
  return {};
}

Status Sensitivity::RunReference(float_exec::Executor& executor, int64_t n,
                                 std::span<const float> images) {
  reference_.resize(n * output_elements_);
  float_exec::Executor::ObserverNeeds needs{std::vector<bool>(graph_.values.size())};
  for (size_t value = 0; value < judged_for_dead_.size(); ++value) {
    needs.values[value] = judged_for_dead_[value] >= 0;
  }
  return executor.RunAndKeep(
      n, images, reference_,
      [&](ir::ValueId value, std::span<const float> elements) {
        FindDead(judged_for_dead_[value], n, elements);
      },
      needs);
}

void Sensitivity::FindDead(size_t decision, int64_t n, std::span<const float> elements) {
  std::vector<bool>& dead = tensors_[decision].dead;
  const size_t channels = dead.size(), each = elements.size() / (n * channels);
  for (size_t i = 0; i < n * channels; ++i) {
    if (!dead[i % channels]) continue;
    const auto channel = elements.subspan(i * each, each);
    dead[i % channels] =
        std::all_of(channel.begin(), channel.end(), [](float x) { return x == 0; });
  }
}

// Called for several tensors at a time.
Status Sensitivity::Isolate(const float_exec::Executor& executor, int64_t n, size_t decision) {
  TensorSensitivity& tensor = tensors_[decision];
  const lower::TensorDecision& decided = lowered_.decisions[decision];
  const FakeQuantizer quantizer(lowered_.model.tensors[decided.tensor]);
  const bool whole = tensor.origin.rounded_inputs.empty();
  const auto edit = [&](std::span<float> elements) {
    std::vector<std::span<float>> parts{elements};
    if (!whole) {
      const ir::Node& concat = graph_.nodes[graph_.ProducerOf(decided.value)];
      parts = PartsOf(graph_, concat, tensor.origin.rounded_inputs, n, elements);
    }
    for (const std::span<float> part : parts) {
      quantizer.CountSaturated(part, tensor);
      quantizer.Apply(part);
    }
  };
  std::vector<float> output(reference_.size());
  HAQ_RETURN_IF_ERROR(executor.RerunWithValue(decided.value, edit, /*any_order=*/whole, output));
  tensor.isolated.Add(reference_, output);
  return {};
}

// Called for several layers at a time.
Status Sensitivity::IsolateWeights(const float_exec::Executor& executor, size_t decision) {
  TensorSensitivity& tensor = tensors_[decision];
  const lower::SumWeights& sum = lowered_.sums[tensor.sum];
  const ir::Op op = WithWeights(graph_.nodes[sum.node].op, sum, lowered_.model);
  std::vector<float> output(reference_.size());
  HAQ_RETURN_IF_ERROR(executor.RerunWithOp(sum.node, op, output));
  tensor.weights.Add(reference_, output);
  return {};
}

double Sensitivity::TotalNoise() const {
  double noise = 0;
  for (const TensorSensitivity& tensor : tensors_) {
    noise += tensor.isolated.noise() + tensor.weights.noise();
  }
  return noise;
}

int64_t SensitivityImages(const ir::Graph& graph, const lower::Lowered& lowered) {
  double work = 1;
  const std::vector<TensorOrigin> origins = FindOrigins(lowered);
  for (size_t i = 0; i < origins.size(); ++i) {
    if (origins[i].rounds) work += WorkFrom(graph, lowered.decisions[i].value);
  }
  for (const lower::SumWeights& sum : lowered.sums) {
    work += WorkFrom(graph, graph.nodes[sum.node].inputs[0]);
  }
  const double images = std::clamp<double>(kWork / work, kFewestImages, kMostImages);
  return static_cast<int64_t>(images);
}

}  // namespace haq::pipeline
