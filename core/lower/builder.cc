#include "core/lower/builder.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace haq::lower {

std::vector<int32_t> StoredShape(const ir::Shape& shape) {
  if (shape.size() == 4) {
    return {static_cast<int32_t>(shape[2]), static_cast<int32_t>(shape[3]),
            static_cast<int32_t>(shape[1])};
  }
  std::vector<int32_t> stored(shape.begin() + 1, shape.end());
  if (stored.empty()) stored.push_back(1);
  return stored;
}

int32_t StoredAxis(size_t rank, int64_t axis) {
  if (rank != 4) return static_cast<int32_t>(axis - 1);
  return axis == 1 ? 2 : static_cast<int32_t>(axis - 2);
}

Builder::Builder(const ir::Graph& graph, const Plan& plan, const Options& options)
    : graph_(graph),
      plan_(plan),
      options_(options),
      tensor_of_value_(graph.values.size(), -1),
      absorbed_(graph.nodes.size(), false) {}

Result<Lowered> Builder::Build() {
  const ir::Value& input = graph_.values[graph_.input];
  tensor_of_value_[graph_.input] =
      AddTensor(input.name, StoredShape(input.shape), ParamsOf(graph_.input));
  lowered_.decisions.push_back(
      {graph_.input, TensorOf(graph_.input), "input", ParamsOf(graph_.input)});
  for (const ir::Node& node : graph_.nodes) {
    const auto* linear = std::get_if<ir::Linear>(&node.op);
    if (linear && FlattenedImage(node.inputs[0], node) >= 0) {
      absorbed_[graph_.ProducerOf(node.inputs[0])] = true;
    }
  }
  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    if (plan_.skipped[i] || absorbed_[i]) continue;
    const ir::Node& node = graph_.nodes[i];
    HAQ_RETURN_IF_ERROR(
        Emit(node).WithContext(fmt::format("layer \"{}\" ({})", node.name, ir::OpName(node.op))));
  }
  lowered_.model.input = TensorOf(graph_.input);
  lowered_.model.output = TensorOf(graph_.output);
  const ir::Shape& shape = input.shape;
  lowered_.model.input_shape.assign(shape.begin() + 1, shape.end());
  HAQ_RETURN_IF_ERROR(artifact::Verify(lowered_.model));
  return std::move(lowered_);
}

int Builder::PlaceOf(const ir::Node& node) const {
  const FusedAdd& fused = plan_.fused_add[IndexOf(node)];
  return fused.exists() ? fused.add : IndexOf(node);
}

ir::ValueId Builder::OutputOf(const ir::Node& node) const {
  const int place = PlaceOf(node), clamp = plan_.fused_clamp[place];
  return graph_.nodes[clamp >= 0 ? clamp : place].output;
}

Builder::Levels Builder::ClampOf(const ir::Node& node) const {
  const int clamp = plan_.fused_clamp[PlaceOf(node)];
  const auto* limits = std::get_if<ir::Clamp>(clamp >= 0 ? &graph_.nodes[clamp].op : &node.op);
  const quant::TensorParams& params = ParamsOf(OutputOf(node));
  if (limits == nullptr) return {0, params.last_level(), {}};
  const auto level = [&](float value) {
    // Infinite limits end at the last level.
    return static_cast<int>(
        std::clamp(std::nearbyint(double(value) / params.scale) + params.zero_point, 0.0,
                   double(params.last_level())));
  };
  Levels levels{level(limits->low), level(limits->high), {}};
  for (const float high : limits->channel_high) levels.channel_high.push_back(level(high));
  return levels;
}

bool Builder::IsWide(const ir::Node& node) const {
  const auto is_wide = [&](ir::ValueId value) { return ParamsOf(value).bits == 16; };
  const FusedAdd& fused = plan_.fused_add[IndexOf(node)];
  return is_wide(OutputOf(node)) || std::any_of(node.inputs.begin(), node.inputs.end(), is_wide) ||
         (fused.exists() && is_wide(fused.residual));
}

int32_t Builder::AddTensor(std::string name, std::vector<int32_t> shape,
                           const quant::TensorParams& params) {
  const auto type = params.bits == 16 ? artifact::DataType::kUint16 : artifact::DataType::kUint8;
  lowered_.model.tensors.push_back(
      {std::move(name), type, std::move(shape), params.scale, params.zero_point});
  return static_cast<int32_t>(lowered_.model.tensors.size()) - 1;
}

int32_t Builder::AddOutput(const ir::Node& node) {
  const ir::ValueId value = OutputOf(node);
  const quant::TensorParams& params = ParamsOf(value);
  const int32_t tensor =
      AddTensor(graph_.values[value].name, StoredShape(graph_.values[value].shape), params);
  tensor_of_value_[value] = tensor;
  lowered_.decisions.push_back({value, tensor, std::string(ir::OpName(node.op)), params});
  return tensor;
}

void Builder::AddLayer(const ir::Node& node, artifact::Op op, std::vector<int32_t> inputs,
                       int32_t output) {
  artifact::Layer layer;
  layer.name = node.name;
  layer.op = std::move(op);
  layer.inputs = std::move(inputs);
  layer.output = output;
  const artifact::AccumulatorBounds bounds = artifact::BoundAccumulator(lowered_.model, layer);
  layer.acc_min = bounds.min;
  layer.acc_max = bounds.max;
  lowered_.model.layers.push_back(std::move(layer));
}

int32_t Builder::AddHelper(const ir::Node& node, std::string_view suffix, artifact::Op op,
                           std::vector<int32_t> inputs, std::vector<int32_t> shape,
                           const quant::TensorParams& params) {
  const std::string name = fmt::format("{}.{}{}", node.name, suffix, lowered_.model.tensors.size());
  const int32_t output = AddTensor(name, std::move(shape), params);
  AddLayer(node, std::move(op), std::move(inputs), output);
  lowered_.model.layers.back().name = name;
  return output;
}

Status Builder::Emit(const ir::Node& node) {
  const FusedAdd& fused = plan_.fused_add[IndexOf(node)];
  const ir::Node& emitted = fused.exists() ? graph_.nodes[fused.conv] : node;
  return std::visit([&](const auto& op) { return EmitOp(emitted, op); }, emitted.op);
}

namespace {

Status CheckRanges(const ir::Graph& graph, const std::vector<quant::Range>& ranges,
                   const Options& options) {
  const auto check = [&](std::string_view what, size_t size) -> Status {
    if (size == graph.values.size()) return {};
    return InvalidArgument("{} {} for {} values", size, what, graph.values.size());
  };
  HAQ_RETURN_IF_ERROR(check("ranges", ranges.size()));
  return options.wide_ranges.empty() ? Status() : check("wide ranges", options.wide_ranges.size());
}

}  // namespace

Result<std::vector<bool>> WideCandidates(const ir::Graph& graph,
                                         const std::vector<quant::Range>& ranges,
                                         const Options& options) {
  HAQ_RETURN_IF_ERROR(CheckRanges(graph, ranges, options));
  return PlanWideCandidates(graph, ranges, options);
}

Result<Lowered> Lower(const ir::Graph& graph, const std::vector<quant::Range>& ranges,
                      const Options& options) {
  HAQ_RETURN_IF_ERROR(CheckLowerable(graph));
  HAQ_RETURN_IF_ERROR(CheckRanges(graph, ranges, options));
  // An addition that turns out not to fit its convolution's arithmetic becomes a layer of its own,
  // and the convolution's output a tensor, which the plan knows from the start.
  std::set<int> keep_apart;
  while (true) {
    HAQ_ASSIGN_OR_RETURN(const Plan plan, MakePlan(graph, ranges, options, keep_apart));
    Builder builder(graph, plan, options);
    Result<Lowered> lowered = builder.Build();
    if (lowered.ok() || builder.unfusable_add() < 0) return lowered;
    keep_apart.insert(builder.unfusable_add());
  }
}

}  // namespace haq::lower
