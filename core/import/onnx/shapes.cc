#include "core/import/onnx/shapes.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace haq::import::from_onnx {

namespace {

constexpr int64_t kMost = int64_t{1} << 40;

Status CheckRank(size_t rank) {
  if (rank <= kMaxRank) return {};
  return InvalidArgument("gives {} dimensions, allowed are {}", rank, kMaxRank);
}

// 0 keeps a dimension (unless allowzero), -1 stands for what is left.
Result<ir::Shape> Reshaped(const NodeCall& call, const ir::Shape& shape) {
  HAQ_ASSIGN_OR_RETURN(ir::Shape wanted, call.IntegersOf(1));
  HAQ_RETURN_IF_ERROR(CheckRank(wanted.size()));
  HAQ_ASSIGN_OR_RETURN(const int64_t allow_zero, call.Int("allowzero", 0));
  HAQ_ASSIGN_OR_RETURN(const int64_t count, CountOf(shape, kMost));
  int64_t known = 1, open = -1;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == 0 && allow_zero == 0) {
      if (i >= shape.size()) return InvalidArgument("shape[{}] is 0, the input has no such", i);
      wanted[i] = shape[i];
    }
    if (wanted[i] == -1) {
      if (open >= 0) return InvalidArgument("more than one dimension is -1");
      open = static_cast<int64_t>(i);
      continue;
    }
    if (wanted[i] < 0 || (wanted[i] > 0 && known > kMost / wanted[i])) {
      return InvalidArgument("gives shape [{}]", ir::ShapeToString(wanted));
    }
    known *= wanted[i];
  }
  if (open >= 0 && known > 0 && count % known == 0) {
    wanted[open] = count / known;
    known = count;
  }
  if (known == count && std::count(wanted.begin(), wanted.end(), -1) == 0) return wanted;
  return InvalidArgument("[{}] cannot be reshaped to [{}]", ir::ShapeToString(shape),
                         ir::ShapeToString(wanted));
}

Result<ir::Shape> Flattened(const NodeCall& call, const ir::Shape& shape) {
  const auto rank = static_cast<int64_t>(shape.size());
  HAQ_ASSIGN_OR_RETURN(int64_t axis, call.Int("axis", 1));
  if (axis < -rank || axis > rank) return InvalidArgument("axis {} of {} dimensions", axis, rank);
  if (axis < 0) axis += rank;
  HAQ_ASSIGN_OR_RETURN(const int64_t rows, CountOf({shape.begin(), shape.begin() + axis}, kMost));
  HAQ_ASSIGN_OR_RETURN(const int64_t columns, CountOf({shape.begin() + axis, shape.end()}, kMost));
  return ir::Shape{rows, columns};
}

Result<ir::Shape> Squeezed(const NodeCall& call, const ir::Shape& shape) {
  const auto rank = static_cast<int64_t>(shape.size());
  HAQ_ASSIGN_OR_RETURN(std::vector<int64_t> axes, call.IntsOrInput("axes", 1));
  HAQ_ASSIGN_OR_RETURN(axes, NodeCall::Axes(std::move(axes), rank));
  ir::Shape squeezed;
  for (int64_t d = 0; d < rank; ++d) {
    const bool named = std::count(axes.begin(), axes.end(), d) != 0;
    if (named && shape[d] != 1) {
      return InvalidArgument("dimension {} of [{}] is not 1", d, ir::ShapeToString(shape));
    }
    if (!(named || (axes.empty() && shape[d] == 1))) squeezed.push_back(shape[d]);
  }
  return squeezed;
}

Result<ir::Shape> Unsqueezed(const NodeCall& call, const ir::Shape& shape) {
  HAQ_ASSIGN_OR_RETURN(std::vector<int64_t> axes, call.IntsOrInput("axes", 1));
  HAQ_RETURN_IF_ERROR(CheckRank(shape.size() + axes.size()));
  const auto rank = static_cast<int64_t>(shape.size() + axes.size());
  HAQ_ASSIGN_OR_RETURN(axes, NodeCall::Axes(std::move(axes), rank));
  ir::Shape unsqueezed;
  size_t next = 0;
  for (int64_t d = 0; d < rank; ++d) {
    const bool added = std::count(axes.begin(), axes.end(), d) != 0;
    unsqueezed.push_back(added ? 1 : shape[next++]);
  }
  return unsqueezed;
}

}  // namespace

Result<ir::Shape> NewShape(const NodeCall& call, const ir::Shape& shape) {
  if (call.kind() == "Reshape") return Reshaped(call, shape);
  if (call.kind() == "Flatten") return Flattened(call, shape);
  if (call.kind() == "Squeeze") return Squeezed(call, shape);
  return Unsqueezed(call, shape);
}

Result<std::vector<int64_t>> Permutation(const NodeCall& call, int64_t rank) {
  std::vector<int64_t> reversed(rank);
  std::iota(reversed.rbegin(), reversed.rend(), 0);
  HAQ_ASSIGN_OR_RETURN(std::vector<int64_t> order, call.Ints("perm", reversed));
  if (static_cast<int64_t>(order.size()) != rank) {
    return InvalidArgument("perm has {} numbers for {} dimensions", order.size(), rank);
  }
  return NodeCall::Axes(std::move(order), rank);
}

namespace {

// Lists that are absent are filled in.
struct SliceLists {
  std::vector<int64_t> starts, ends, axes, steps;
};

Result<SliceLists> ReadSlice(const NodeCall& call) {
  SliceLists lists;
  if (call.opset() < 10) {
    HAQ_ASSIGN_OR_RETURN(lists.starts, call.Ints("starts", {}));
    HAQ_ASSIGN_OR_RETURN(lists.ends, call.Ints("ends", {}));
    HAQ_ASSIGN_OR_RETURN(lists.axes, call.Ints("axes", {}));
  } else {
    HAQ_ASSIGN_OR_RETURN(lists.starts, call.IntegersOf(1));
    HAQ_ASSIGN_OR_RETURN(lists.ends, call.IntegersOf(2));
    if (call.Has(3)) {
      HAQ_ASSIGN_OR_RETURN(lists.axes, call.IntegersOf(3));
    }
    if (call.Has(4)) {
      HAQ_ASSIGN_OR_RETURN(lists.steps, call.IntegersOf(4));
    }
  }
  if (lists.axes.empty()) {
    lists.axes.resize(lists.starts.size());
    std::iota(lists.axes.begin(), lists.axes.end(), 0);
  }
  if (lists.steps.empty()) lists.steps.assign(lists.starts.size(), 1);
  if (lists.ends.size() == lists.starts.size() && lists.axes.size() == lists.starts.size() &&
      lists.steps.size() == lists.starts.size()) {
    return lists;
  }
  return InvalidArgument("has {} starts, {} ends, {} axes and {} steps", lists.starts.size(),
                         lists.ends.size(), lists.axes.size(), lists.steps.size());
}

// Numbers from the end are negative; what lies outside ends at the edge.
Cut MakeCut(int64_t axis, int64_t start, int64_t end, int64_t step, int64_t size) {
  const int64_t least = step > 0 ? 0 : -1, most = step > 0 ? size : size - 1;
  const auto place = [&](int64_t at) {
    if (at < 0) at = at < -size ? -1 - size : at + size;
    return std::clamp(at, least, most);
  };
  // What exporters write for "to the end".
  const bool all = start == 0 && step == 1 && end >= std::numeric_limits<int32_t>::max();
  start = place(start);
  end = place(end);
  const int64_t distance = step > 0 ? end - start : start - end;
  // -2^63 has no absolute value; a longer step than the axis takes one element like any other.
  const int64_t stride = std::min(step > 0 ? step : -std::max(step, -size - 1), size + 1);
  const int64_t count = distance > 0 ? (distance - 1) / stride + 1 : 0;
  return {axis, std::max<int64_t>(start, 0), step > 0 ? stride : -stride, count, all};
}

}  // namespace

Result<std::vector<Cut>> CutsOf(const NodeCall& call, const ir::Shape& shape) {
  HAQ_ASSIGN_OR_RETURN(SliceLists lists, ReadSlice(call));
  HAQ_ASSIGN_OR_RETURN(lists.axes,
                       NodeCall::Axes(std::move(lists.axes), static_cast<int64_t>(shape.size())));
  std::vector<Cut> cuts;
  for (size_t i = 0; i < lists.axes.size(); ++i) {
    if (lists.steps[i] == 0) return InvalidArgument("steps[{}] is 0", i);
    cuts.push_back(MakeCut(lists.axes[i], lists.starts[i], lists.ends[i], lists.steps[i],
                           shape[lists.axes[i]]));
  }
  return cuts;
}

}  // namespace haq::import::from_onnx
