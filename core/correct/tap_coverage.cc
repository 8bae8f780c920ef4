#include "core/correct/tap_coverage.h"

namespace haq::correct {
namespace {

double AxisCoverage(int64_t tap, int64_t inputs, int64_t outputs, int64_t stride, int64_t dilation,
                    int64_t padding) {
  int64_t inside = 0;
  for (int64_t i = 0; i < outputs; ++i) {
    const int64_t at = i * stride - padding + tap * dilation;
    inside += at >= 0 && at < inputs;
  }
  return double(inside) / double(outputs);
}

}  // namespace

std::vector<double> TapCoverage(const ir::Graph& graph, const ir::Node& node,
                                const ir::Conv2d& conv) {
  const ir::Shape& kernel = conv.weight.shape;  // [O, I / groups, KH, KW]
  const ir::Shape& in = graph.values[node.inputs[0]].shape;
  const ir::Shape& out = graph.values[node.output].shape;
  std::vector<double> coverage;
  for (int64_t ky = 0; ky < kernel[2]; ++ky) {
    for (int64_t kx = 0; kx < kernel[3]; ++kx) {
      coverage.push_back(
          AxisCoverage(ky, in[2], out[2], conv.stride[0], conv.dilation[0], conv.padding.top) *
          AxisCoverage(kx, in[3], out[3], conv.stride[1], conv.dilation[1], conv.padding.left));
    }
  }
  return coverage;
}

}  // namespace haq::correct
