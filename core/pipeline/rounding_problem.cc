#include "core/pipeline/rounding_problem.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>

namespace haq::pipeline {
namespace {

// SplitMix64 (Steele, Lea, Flood 2014): the same numbers on every platform.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  int64_t Below(int64_t bound) { return static_cast<int64_t>(Next() % uint64_t(bound)); }

 private:
  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  uint64_t state_;
};

// Every fifth image is not learned from but judges.
constexpr int64_t kJudgeEvery = 5;

int64_t RowsPerImage(const RoundingLayer& layer, int64_t images, const RoundingLimits& limits) {
  const int64_t fit =
      std::min({limits.rows, limits.input_elements / (layer.inputs() * layer.groups),
                limits.output_elements / layer.outputs});
  return std::clamp<int64_t>(fit / images, 1, layer.out_h * layer.out_w);
}

int32_t LevelAt(const artifact::Tensor& tensor, std::span<const uint8_t> bytes, int64_t i) {
  if (tensor.type == artifact::DataType::kUint8) return bytes[i];
  uint16_t wide;
  std::memcpy(&wide, bytes.data() + 2 * i, sizeof(wide));
  return wide;
}

const lower::TensorDecision* DecisionOf(const lower::Lowered& lowered, int32_t tensor) {
  for (const lower::TensorDecision& decision : lowered.decisions) {
    if (decision.tensor == tensor) return &decision;
  }
  return nullptr;
}

// The tensor that an addition after `layer` adds to its output, when nothing else reads that and
// the tensor is made earlier; with the addition's own output.
struct Addition {
  int32_t other = -1, output = -1;
};
Addition FindAddition(const artifact::Model& model, int32_t layer) {
  const artifact::Layer& sum = model.layers[layer];
  if (sum.inputs.size() == 2) return {sum.inputs[1], sum.output};
  const artifact::Layer* reader = nullptr;
  if (model.output == sum.output) return {};
  for (const artifact::Layer& other : model.layers) {
    for (const int32_t input : other.inputs) {
      if (input != sum.output) continue;
      if (reader) return {};
      reader = &other;
    }
  }
  if (!reader || !(std::holds_alternative<artifact::Add>(reader->op) ||
                   std::holds_alternative<artifact::WideAdd>(reader->op))) {
    return {};
  }
  const int32_t other = reader->inputs[reader->inputs[0] == sum.output ? 1 : 0];
  if (model.tensors[other].shape != model.tensors[sum.output].shape) return {};
  for (size_t i = layer; i < model.layers.size(); ++i) {
    if (model.layers[i].output == other) return {};
  }
  return {other, reader->output};
}

void DescribeProduct(const artifact::Model& model, const artifact::Layer& sum,
                     RoundingLayer& layer) {
  const std::vector<int32_t>& in = model.tensors[sum.inputs[0]].shape;
  const artifact::Window* window = nullptr;
  if (const auto* conv = std::get_if<artifact::Conv2d>(&sum.op)) {
    window = conv, layer.groups = conv->groups;
  } else if (const auto* wide = std::get_if<artifact::WideConv2d>(&sum.op)) {
    window = wide, layer.groups = wide->groups;
  } else {
    layer.in_c = model.tensors[sum.inputs[0]].ElementCount();
    layer.outputs = model.tensors[sum.output].ElementCount();
    return;
  }
  const std::vector<int32_t>& out = model.tensors[sum.output].shape;
  layer.in_h = in[0], layer.in_w = in[1], layer.in_c = in[2];
  layer.out_h = out[0], layer.out_w = out[1], layer.outputs = out[2];
  layer.kernel_h = window->kernel_h, layer.kernel_w = window->kernel_w;
  layer.stride_h = window->stride_h, layer.stride_w = window->stride_w;
  layer.dilation_h = window->dilation_h, layer.dilation_w = window->dilation_w;
  layer.top = window->padding.top, layer.left = window->padding.left;
}

}  // namespace

std::optional<RoundingLayer> DescribeRounding(const ir::Graph& graph, const lower::Lowered& lowered,
                                              int sum) {
  if (std::holds_alternative<ir::ChannelAffine>(graph.nodes[lowered.sums[sum].node].op)) return {};
  const artifact::Model& model = lowered.model;
  const artifact::Layer& product = model.layers[lowered.sums[sum].layer];
  RoundingLayer layer;
  layer.sum = sum;
  layer.input = product.inputs[0];
  DescribeProduct(model, product, layer);
  const Addition addition = FindAddition(model, lowered.sums[sum].layer);
  layer.summand = addition.other;
  const lower::TensorDecision& stored =
      *DecisionOf(lowered, addition.other < 0 ? product.output : addition.output);
  layer.target = stored.value;
  layer.low.assign(layer.outputs, static_cast<float>(stored.params.range.low));
  layer.high.assign(layer.outputs, static_cast<float>(stored.params.range.high));
  const int producer = graph.ProducerOf(stored.value);
  if (const auto* clamp = std::get_if<ir::Clamp>(&graph.nodes[producer].op)) {
    layer.target = graph.nodes[producer].inputs[0];
    for (float& low : layer.low) low = std::max(low, clamp->low);
    for (int64_t o = 0; o < layer.outputs; ++o) {
      const float high = clamp->channel_high.empty() ? clamp->high : clamp->channel_high[o];
      layer.high[o] = std::min(layer.high[o], high);
    }
  }
  return layer;
}

RoundingProblem::RoundingProblem(const RoundingLayer& layer, int64_t images,
                                 const RoundingLimits& limits)
    : layer_(layer), per_image_(RowsPerImage(layer, images, limits)) {
  const int64_t rows = per_image_ * images;
  // Images that judge are not learned from, since neighbouring positions of one image resemble each
  // other; with few images, single rows.
  const bool by_image = images >= 2 * kJudgeEvery;
  row_of_.resize(rows);
  std::vector<int32_t> learned, judged;
  for (int64_t i = 0; i < rows; ++i) {
    ((by_image ? i / per_image_ : i) % kJudgeEvery == kJudgeEvery - 1 ? judged : learned)
        .push_back(i);
  }
  Random random(static_cast<uint64_t>(layer.sum) << 32);
  for (size_t i = learned.size(); i > 1; --i) std::swap(learned[i - 1], learned[random.Below(i)]);
  for (size_t i = 0; i < learned.size(); ++i) row_of_[learned[i]] = i;
  for (size_t i = 0; i < judged.size(); ++i) row_of_[judged[i]] = learned.size() + i;
  problem_.rows = rows;
  problem_.train_rows = learned.size();
  problem_.groups = layer.groups;
  problem_.inputs = layer.inputs();
  problem_.outputs = layer.outputs;
}

void RoundingProblem::AllocateTargets() {
  problem_.target.resize(problem_.rows * problem_.outputs);
  problem_.low.resize(problem_.rows * problem_.outputs);
  problem_.high.resize(problem_.rows * problem_.outputs);
}

void RoundingProblem::AllocateInputs() {
  problem_.x.assign(problem_.rows * problem_.groups * problem_.inputs, 0);
}

std::vector<RoundingProblem::Position> RoundingProblem::PositionsOf(int64_t image) const {
  const int64_t all = layer_.out_h * layer_.out_w;
  std::vector<int32_t> order(all);
  std::iota(order.begin(), order.end(), 0);
  Random random((static_cast<uint64_t>(layer_.sum) << 32) + image + 1);
  std::vector<Position> positions;
  for (int64_t i = 0; i < per_image_; ++i) {
    std::swap(order[i], order[i + random.Below(all - i)]);
    positions.push_back(
        {row_of_[image * per_image_ + i], order[i] / layer_.out_w, order[i] % layer_.out_w});
  }
  return positions;
}

void RoundingProblem::AddTarget(int64_t image, std::span<const float> value) {
  const int64_t plane = layer_.out_h * layer_.out_w;
  for (const Position& at : PositionsOf(image)) {
    for (int64_t o = 0; o < layer_.outputs; ++o) {
      const float y = value[o * plane + at.y * layer_.out_w + at.x];
      const int64_t i = at.row * layer_.outputs + o;
      problem_.target[i] = y;
      constexpr float kInfinity = std::numeric_limits<float>::infinity();
      problem_.low[i] = y <= layer_.low[o] ? -kInfinity : std::min(y, layer_.high[o]);
      problem_.high[i] = y >= layer_.high[o] ? kInfinity : std::max(y, layer_.low[o]);
    }
  }
}

void RoundingProblem::AddInput(const artifact::Tensor& tensor, int64_t image,
                               std::span<const uint8_t> bytes) {
  const int64_t channels = layer_.in_c / layer_.groups, inputs = layer_.inputs();
  for (const Position& at : PositionsOf(image)) {
    for (int64_t ky = 0; ky < layer_.kernel_h; ++ky) {
      for (int64_t kx = 0; kx < layer_.kernel_w; ++kx) {
        const int64_t y = at.y * layer_.stride_h - layer_.top + ky * layer_.dilation_h;
        const int64_t x = at.x * layer_.stride_w - layer_.left + kx * layer_.dilation_w;
        if (y < 0 || y >= layer_.in_h || x < 0 || x >= layer_.in_w) continue;
        const int64_t pixel = (y * layer_.in_w + x) * layer_.in_c;
        for (int64_t c = 0; c < layer_.in_c; ++c) {
          const int64_t group = c / channels;
          float* row = &problem_.x[(group * problem_.rows + at.row) * inputs];
          row[(ky * layer_.kernel_w + kx) * channels + c % channels] =
              tensor.scale *
              static_cast<float>(LevelAt(tensor, bytes, pixel + c) - tensor.zero_point);
        }
      }
    }
  }
}

void RoundingProblem::AddSummand(const artifact::Tensor& tensor, int64_t image,
                                 std::span<const uint8_t> bytes) {
  for (const Position& at : PositionsOf(image)) {
    const int64_t pixel = (at.y * layer_.out_w + at.x) * layer_.outputs;
    for (int64_t o = 0; o < layer_.outputs; ++o) {
      const float other =
          tensor.scale * static_cast<float>(LevelAt(tensor, bytes, pixel + o) - tensor.zero_point);
      const int64_t i = at.row * layer_.outputs + o;
      problem_.target[i] -= other, problem_.low[i] -= other, problem_.high[i] -= other;
    }
  }
}

}  // namespace haq::pipeline
