// The same elements in another shape or order, and repeated.
#include <algorithm>
#include <cmath>

#include "core/import/images/repeat.h"
#include "core/import/onnx/constants.h"
#include "core/import/onnx/operators.h"
#include "core/import/onnx/shapes.h"

namespace haq::import::from_onnx {

namespace {

// A batch of 1 must not be squeezed away: the graph stands for any batch.
Status ImportReshape(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(0));
  HAQ_ASSIGN_OR_RETURN(ir::Shape shape, NewShape(call, call.ShapeOf(x)));
  if (call.kind() == "Squeeze") {
    HAQ_ASSIGN_OR_RETURN(const std::vector<int64_t> axes, call.IntsOrInput("axes", 1));
    if (axes.empty()) shape.insert(shape.begin(), 1);
  }
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, call.EmitReshape(x, shape, ""));
  return call.Return(y);
}

// Dimensions of 1 may go anywhere without an element changing its place.
bool OnlyOnesMove(const ir::Shape& shape, const std::vector<int64_t>& order) {
  int64_t last = -1;
  for (const int64_t dimension : order) {
    if (shape[dimension] == 1) continue;
    if (dimension < last) return false;
    last = dimension;
  }
  return true;
}

Status ImportTranspose(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(0));
  HAQ_ASSIGN_OR_RETURN(std::vector<int64_t> order,
                       Permutation(call, static_cast<int64_t>(call.ShapeOf(x).size())));
  if (order.empty() || order[0] != 0) return Unsupported("moves the batch");
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, EmitPermute(call, x, std::move(order)));
  return call.Return(y);
}

Result<int64_t> BlockSize(const NodeCall& call, const ir::Shape& shape) {
  HAQ_ASSIGN_OR_RETURN(const int64_t size, call.Int("blocksize", 0));
  if (shape.size() != 4) return Unsupported("works on {}", ir::ShapeToString(shape));
  if (size < 1 || size > (1 << 15)) return InvalidArgument("blocksize is {}", size);
  return size;
}

Status ImportDepthToSpace(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(0));
  const ir::Shape s = call.ShapeOf(x);
  HAQ_ASSIGN_OR_RETURN(const int64_t r, BlockSize(call, s));
  HAQ_ASSIGN_OR_RETURN(const std::string mode, call.Text("mode", "DCR"));
  if (s[1] % (r * r) != 0) return InvalidArgument("{} channels, blocks of {}", s[1], r);
  const int64_t channels = s[1] / r / r;
  const ir::Shape output{1, channels, s[2] * r, s[3] * r};
  Result<ir::ValueId> y =
      mode == "CRD"
          ? EmitShuffle(call, x, {1, channels, r, r, s[2], s[3]}, {0, 1, 4, 2, 5, 3}, output)
          : EmitShuffle(call, x, {1, r, r, channels, s[2], s[3]}, {0, 3, 4, 1, 5, 2}, output);
  if (!y.ok()) return y.status();
  return call.Return(*y);
}

Status ImportSpaceToDepth(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(0));
  const ir::Shape s = call.ShapeOf(x);
  HAQ_ASSIGN_OR_RETURN(const int64_t r, BlockSize(call, s));
  if (s[2] % r != 0 || s[3] % r != 0) {
    return InvalidArgument("{} is not a multiple of {}", ir::ShapeToString(s), r);
  }
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y,
                       EmitShuffle(call, x, {1, s[1], s[2] / r, r, s[3] / r, r}, {0, 3, 5, 1, 2, 4},
                                   {1, s[1] * r * r, s[2] / r, s[3] / r}));
  return call.Return(y);
}

// The place in the input that the standard's formula gives for place `out` of the output.
double SourceOf(const std::string& transform, double out, double scale, double in_size,
                double out_size) {
  if (transform == "asymmetric") return out / scale;
  if (transform == "align_corners") {
    return out_size > 1 ? out * (in_size - 1) / (out_size - 1) : 0;
  }
  if (transform == "tf_half_pixel_for_nn") return (out + 0.5) / scale;
  if (transform == "pytorch_half_pixel" && out_size <= 1) return 0;
  return (out + 0.5) / scale - 0.5;
}

double RoundPlace(const std::string& mode, double place) {
  if (mode == "floor") return std::floor(place);
  if (mode == "ceil") return std::ceil(place);
  const double floor = std::floor(place);
  if (place - floor == 0.5) return mode == "round_prefer_ceil" ? floor + 1 : floor;
  return std::floor(place + 0.5);
}

struct Nearest {
  std::string transform, rounding;
  // Whether place i of the output is place i / factor of the input, for all of them.
  bool Repeats(int64_t size, int64_t factor) const {
    for (int64_t out = 0; out < size * factor; ++out) {
      const double place = RoundPlace(rounding, SourceOf(transform, double(out), double(factor),
                                                         double(size), double(size * factor)));
      if (std::clamp(place, 0.0, double(size - 1)) != double(out / factor)) return false;
    }
    return true;
  }
};

// How much larger each of four dimensions becomes. Sizes or scales are attributes or inputs,
// according to the operator and opset.
Result<std::vector<double>> ScalesOf(const NodeCall& call, const ir::Shape& shape) {
  const bool resize = call.kind() == "Resize" && call.opset() >= 11;
  std::vector<double> scales;
  const size_t input = resize ? 2 : 1;
  if (call.kind() == "Upsample" && call.opset() < 9) {
    HAQ_ASSIGN_OR_RETURN(const std::vector<float> given, call.Floats("scales", {}));
    scales.assign(given.begin(), given.end());
  } else if (call.Has(input)) {
    HAQ_ASSIGN_OR_RETURN(const TensorPtr given, call.ConstantOf(input));
    for (int64_t i = 0; i < given->count(); ++i) scales.push_back(given->At(i));
  }
  if (scales.empty() && resize && call.Has(3)) {
    HAQ_ASSIGN_OR_RETURN(const std::vector<int64_t> sizes, call.IntegersOf(3));
    if (sizes.size() != shape.size()) return InvalidArgument("has {} sizes", sizes.size());
    for (size_t i = 0; i < sizes.size(); ++i) scales.push_back(double(sizes[i]) / double(shape[i]));
  }
  if (scales.size() == shape.size()) return scales;
  return InvalidArgument("has {} scales for {} dimensions", scales.size(), shape.size());
}

Status ImportResize(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(0));
  const ir::Shape shape = call.ShapeOf(x);
  if (shape.size() != 4) return Unsupported("resizes {}", ir::ShapeToString(shape));
  HAQ_ASSIGN_OR_RETURN(const std::string mode, call.Text("mode", "nearest"));
  if (mode != "nearest") return Unsupported("mode '{}'; supported is nearest", mode);
  const bool has_transform = call.kind() == "Resize" && call.opset() >= 11;
  Nearest nearest{"asymmetric", "floor"};
  if (has_transform) {
    HAQ_ASSIGN_OR_RETURN(nearest.transform,
                         call.Text("coordinate_transformation_mode", "half_pixel"));
    HAQ_ASSIGN_OR_RETURN(nearest.rounding, call.Text("nearest_mode", "round_prefer_floor"));
  }
  if (nearest.transform == "tf_crop_and_resize") return Unsupported("crops");
  HAQ_ASSIGN_OR_RETURN(const std::vector<double> scales, ScalesOf(call, shape));
  std::array<int64_t, 2> factors{};
  for (size_t i = 0; i < 4; ++i) {
    const double scale = scales[i];
    const bool good =
        scale >= 1 && scale <= kMaxRepeat && scale == std::floor(scale) && (i > 1 || scale == 1);
    if (!good) {
      return Unsupported(
          "scales dimension {} by {}; supported are whole factors of rows and "
          "columns up to {}",
          i, scale, kMaxRepeat);
    }
    if (i < 2) continue;
    factors[i - 2] = static_cast<int64_t>(scale);
    if (shape[i] * factors[i - 2] > kMaxRepeatedSide) {
      return Unsupported("makes {} of dimension {}, allowed are {}", shape[i] * factors[i - 2], i,
                         kMaxRepeatedSide);
    }
    if (nearest.Repeats(shape[i], factors[i - 2])) continue;
    return Unsupported("does not repeat every row and column {} times: {} with {}", factors[i - 2],
                       nearest.transform, nearest.rounding);
  }
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId y, EmitRepeat(call, x, shape, factors));
  return call.Return(y);
}

// An expansion that changes nothing; exporters write them for safety.
Status ImportExpand(NodeCall& call) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId x, call.Activation(0));
  HAQ_ASSIGN_OR_RETURN(const ir::Shape wanted, call.IntegersOf(1));
  const ir::Shape shape = call.ShapeOf(x);
  HAQ_ASSIGN_OR_RETURN(const ir::Shape after, BroadcastShape(shape, wanted));
  if (after == shape) return call.Return(x);
  return Unsupported("broadcasts {} to {}", ir::ShapeToString(shape), ir::ShapeToString(after));
}

}  // namespace

Result<ir::ValueId> EmitPermute(NodeCall& call, ir::ValueId x, std::vector<int64_t> order,
                                std::string_view part) {
  const ir::Shape shape = call.ShapeOf(x);
  if (!OnlyOnesMove(shape, order)) return call.Emit(ir::Permute{std::move(order)}, {x}, {}, part);
  ir::Shape permuted;
  for (const int64_t dimension : order) permuted.push_back(shape[dimension]);
  return call.EmitReshape(x, permuted, part);
}

Result<ir::ValueId> EmitShuffle(NodeCall& call, ir::ValueId x, const ir::Shape& split,
                                std::vector<int64_t> order, const ir::Shape& output) {
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId apart, call.EmitReshape(x, split, "split"));
  HAQ_ASSIGN_OR_RETURN(const ir::ValueId moved,
                       EmitPermute(call, apart, std::move(order), "moved"));
  return call.EmitReshape(moved, output, "");
}

ImporterTable ShapeImporters() {
  return {{"Reshape", ImportReshape},           {"Flatten", ImportReshape},
          {"Squeeze", ImportReshape},           {"Unsqueeze", ImportReshape},
          {"Transpose", ImportTranspose},       {"DepthToSpace", ImportDepthToSpace},
          {"SpaceToDepth", ImportSpaceToDepth}, {"Resize", ImportResize},
          {"Upsample", ImportResize},           {"Expand", ImportExpand}};
}

}  // namespace haq::import::from_onnx
