// Elementwise functions of one activation.
#include <ATen/ATen.h>

#include <limits>

#include "core/import/torchscript/operators.h"

namespace haq::import {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Status EmitElementwise(OpCall& call, ir::Op op) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(call.schema().arguments()[0].name()));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.Emit(std::move(op), {x}));
  return call.Return(y);
}

template <typename Op>
Status ImportSimple(OpCall& call) {
  return EmitElementwise(call, Op{});
}

Status EmitClamp(OpCall& call, double low, double high) {
  return EmitElementwise(call, ir::Clamp{static_cast<float>(low), static_cast<float>(high)});
}

Status ImportRelu(OpCall& call) { return EmitClamp(call, 0, kInfinity); }
Status ImportRelu6(OpCall& call) { return EmitClamp(call, 0, 6); }

Status ImportHardtanh(OpCall& call) {
  return EmitClamp(call, call.Number("min_val"), call.Number("max_val"));
}

// A bound that is absent, a number, or a constant tensor of one element.
Result<double> Bound(const OpCall& call, std::string_view name, double otherwise) {
  if (!call.Has(name)) return otherwise;
  HAQ_ASSIGN_OR_RETURN(const at::Tensor bound, call.ConstantOf(name));
  if (bound.numel() != 1) return Unsupported("{} has {} elements, not 1", name, bound.numel());
  return bound.item<double>();
}

// Also clamp_min and clamp_max, which have one of the two arguments.
Status ImportClamp(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const double high, Bound(call, "max", kInfinity));
  HAQ_ASSIGN_OR_RETURN(const double low, Bound(call, "min", -kInfinity));
  return EmitClamp(call, std::min(low, high), high);
}

Status ImportThreshold(OpCall& call) {
  if (call.Number("threshold") != call.Number("value")) {
    return Unsupported("has a value that differs from its threshold");
  }
  return EmitClamp(call, call.Number("threshold"), kInfinity);
}

Status ImportLeakyRelu(OpCall& call) {
  return EmitElementwise(call, ir::LeakyRelu{static_cast<float>(call.Number("negative_slope"))});
}

// One slope is a leaky ReLU; otherwise max(x, 0) + slope[c] * min(x, 0).
Status ImportPrelu(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation("self"));
  HAQ_ASSIGN_OR_RETURN(const at::Tensor slopes, call.ConstantOf("weight"));
  const std::vector<float> slope = ToFloats(slopes);
  if (slope.size() == 1) return EmitElementwise(call, ir::LeakyRelu{slope[0]});
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId above,
                       call.Emit(ir::Clamp{.low = 0}, {x}, {}, "positive"));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId below,
                       call.Emit(ir::Clamp{.high = 0}, {x}, {}, "negative"));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId scaled,
                       call.Emit(ir::ChannelAffine{slope, std::vector<float>(slope.size(), 0)},
                                 {below}, {}, "slope"));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.Emit(ir::Add{}, {above, scaled}));
  return call.Return(y);
}

Status ImportSoftmax(OpCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation("self"));
  const auto rank = static_cast<int64_t>(call.ShapeOfValue(x).size());
  HAQ_ASSIGN_OR_RETURN(const int64_t axis, call.Axis("dim", rank));
  return EmitElementwise(call, ir::Softmax{axis});
}

}  // namespace

ImporterTable ActivationImporters() {
  ImporterTable table = {{"relu", ImportRelu},
                         {"relu6", ImportRelu6},
                         {"hardtanh", ImportHardtanh},
                         {"clamp", ImportClamp},
                         {"clip", ImportClamp},
                         {"clamp_min", ImportClamp},
                         {"clamp_max", ImportClamp},
                         {"threshold", ImportThreshold},
                         {"leaky_relu", ImportLeakyRelu},
                         {"sigmoid", ImportSimple<ir::Sigmoid>},
                         {"hardsigmoid", ImportSimple<ir::HardSigmoid>},
                         {"silu", ImportSimple<ir::Silu>},
                         {"hardswish", ImportSimple<ir::HardSwish>},
                         {"tanh", ImportSimple<ir::Tanh>}};
  ImporterTable in_place;
  for (const auto& [name, importer] : table) in_place.emplace(name + "_", importer);
  table.merge(in_place);
  table.emplace("prelu", ImportPrelu);
  table.emplace("softmax", ImportSoftmax);
  table.emplace("_softmax", ImportSoftmax);
  return table;
}

}  // namespace haq::import
