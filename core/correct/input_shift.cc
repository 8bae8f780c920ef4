#include "core/correct/input_shift.h"

#include <algorithm>
#include <cmath>

namespace haq::correct {
namespace {

// Of a step: what float rounding of the values may amount to.
constexpr double kTolerance = 1e-4;

bool OnlyConvolutionsRead(const ir::Graph& graph, ir::ValueId value) {
  if (graph.output == value) return false;
  return std::none_of(graph.nodes.begin(), graph.nodes.end(), [&](const ir::Node& node) {
    const bool reads =
        std::find(node.inputs.begin(), node.inputs.end(), value) != node.inputs.end();
    return reads && !std::holds_alternative<ir::Conv2d>(node.op);
  });
}

// Halves go up, as they do where a request's values are quantized.
double ZeroPoint(double offset_in_steps) { return std::ceil(-offset_in_steps - 0.5 - kTolerance); }

}  // namespace

std::optional<InputShift> FindInputShift(const ir::Graph& graph, const PixelGrid& pixels) {
  const ir::Shape& shape = graph.values[graph.input].shape;
  const size_t channels = pixels.step.size();
  if (shape.size() != 4 || static_cast<size_t>(shape[1]) != channels) return std::nullopt;
  if (!OnlyConvolutionsRead(graph, graph.input)) return std::nullopt;
  const double step = pixels.step[0];
  if (!(step > 0)) return std::nullopt;
  const double zero_point = ZeroPoint(pixels.offset[0] / step);
  if (zero_point < 0 || zero_point > 255) return std::nullopt;
  InputShift result{{-step * zero_point, step * (255 - zero_point)}, {}};
  for (size_t c = 0; c < channels; ++c) {
    if (std::abs(pixels.step[c] - step) * 255 > kTolerance * step) return std::nullopt;
    if (ZeroPoint(pixels.offset[c] / step) != zero_point) return std::nullopt;
    result.shift.push_back(-step * zero_point - pixels.offset[c]);
  }
  return result;
}

void ShiftInput(ir::Graph& graph, const InputShift& shift) {
  for (ir::Node& node : graph.nodes) {
    if (node.inputs[0] != graph.input) continue;
    auto& conv = std::get<ir::Conv2d>(node.op);
    const ir::Shape& kernel = conv.weight.shape;
    const int64_t depth = kernel[1], taps = kernel[2] * kernel[3];
    if (conv.bias.empty()) conv.bias.assign(kernel[0], 0.0f);
    for (int64_t o = 0; o < kernel[0]; ++o) {
      const int64_t first = o / (kernel[0] / conv.groups) * depth;
      double moved = 0;
      for (int64_t c = 0; c < depth; ++c) {
        for (int64_t tap = 0; tap < taps; ++tap) {
          moved += conv.weight.data[(o * depth + c) * taps + tap] * shift.shift[first + c];
        }
      }
      conv.bias[o] -= static_cast<float>(moved);
    }
  }
}

}  // namespace haq::correct
