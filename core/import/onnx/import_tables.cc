// Functions that are tables of their levels, as this project's own exports have them: levels, cast
// to indices, look up other levels in a constant. What the table was made from is found again, so
// that the network comes back as it was.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "core/import/onnx/operators.h"
#include "core/ir/functions.h"

namespace haq::import::from_onnx {

namespace {

using Levels = ir::GivenQuantization::Levels;
using Table = std::vector<int64_t>;

double RealOf(const Levels& levels, int64_t q) {
  return levels.scale * double(q - levels.zero_point);
}

template <typename Op>
bool Makes(const Op& op, const Levels& x, const Levels& y, const Table& table) {
  for (int q = 0; q < int(table.size()); ++q) {
    const double level = std::nearbyint(ir::Apply(op, RealOf(x, q)) / y.scale) + y.zero_point;
    if (std::clamp(level, 0.0, 255.0) != double(table[q])) return false;
  }
  return true;
}

// The slopes that round to every level below zero; their middle.
ir::LeakyRelu SteepAs(const Levels& x, const Levels& y, const Table& table) {
  double high = std::numeric_limits<double>::max(), low = -high;
  for (int q = 0; q < x.zero_point; ++q) {
    if (table[q] == 0 || table[q] == 255) continue;  // may have been cut
    const double a = y.scale * (double(table[q] - y.zero_point) - 0.5) / RealOf(x, q);
    const double b = y.scale * (double(table[q] - y.zero_point) + 0.5) / RealOf(x, q);
    low = std::max(low, std::min(a, b));
    high = std::min(high, std::max(a, b));
  }
  return {static_cast<float>((low + high) / 2)};
}

ir::Clamp BetweenEndsOf(const Levels& y, const Table& table) {
  const auto [low, high] = std::minmax_element(table.begin(), table.end());
  return {static_cast<float>(RealOf(y, *low)), static_cast<float>(RealOf(y, *high)), {}};
}

std::optional<ir::Op> FunctionOf(const Levels& x, const Levels& y, const Table& table) {
  std::optional<ir::Op> found;
  const auto look_at = [&](const auto& op) {
    if (!found && Makes(op, x, y, table)) found = op;
  };
  look_at(BetweenEndsOf(y, table));
  look_at(ir::Sigmoid{});
  look_at(ir::HardSigmoid{});
  look_at(ir::Silu{});
  look_at(ir::HardSwish{});
  look_at(ir::Tanh{});
  look_at(SteepAs(x, y, table));
  return found;
}

}  // namespace

Status ImportIndex(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const int64_t to, call.Int("to", 0));
  const auto type = static_cast<ElementType>(to);
  if (type != ElementType::kInt32 && type != ElementType::kInt64) {
    return Unsupported("casts levels to type {}; supported are int32 and int64", to);
  }
  Known levels = call.InputAt(0);
  if (levels.is_signed) return Unsupported("makes indices of signed levels");
  return call.Return(std::move(levels));
}

Status ImportLookup(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const TensorPtr table, call.ConstantOf(0));
  HAQ_ASSIGN_OR_RETURN(const int64_t axis, call.Int("axis", 0));
  const Known& index = call.InputAt(1);
  if (axis != 0 || table->shape != ir::Shape{256} || table->type != ElementType::kUint8) {
    return Unsupported("looks levels up in {} of {}; supported are 256 of uint8",
                       TypeName(table->type), ir::ShapeToString(table->shape));
  }
  if (index.lookup || index.is_signed) {
    return Unsupported("looks up what no QuantizeLinear to uint8 made");
  }
  return call.Return(Known{.value = index.value,
                           .quantized = true,
                           .lookup = std::make_shared<Lookup>(Lookup{table->integers, -1})});
}

Result<ir::ValueId> EmitLookup(NodeCall& call, const Known& looked_up, const Levels& y) {
  Lookup& lookup = *looked_up.lookup;
  if (lookup.made < 0) {
    const auto x = call.GivenOf(looked_up.value);
    const auto op = x ? FunctionOf(*x, y, lookup.table) : std::nullopt;
    if (!op) return Unsupported("reads levels out of a table that is no function known here");
    HAQ_ASSIGN_OR_RETURN(lookup.made, call.Emit(*op, {looked_up.value}));
    call.Give(lookup.made, y);
  }
  if (call.GivenOf(lookup.made) == y) return lookup.made;
  return Unsupported("reads levels of a table with another scale or zero point than others do");
}

}  // namespace haq::import::from_onnx
