#include "core/import/onnx/windows.h"

#include <algorithm>

namespace haq::import::from_onnx {

namespace {

// Far above any network; sums and products of such numbers fit.
constexpr int64_t kMost = 1 << 20;

Result<std::vector<int64_t>> Numbers(const NodeCall& call, std::string_view name, size_t count,
                                     int64_t least, int64_t otherwise) {
  HAQ_ASSIGN_OR_RETURN(std::vector<int64_t> numbers,
                       call.Ints(name, std::vector<int64_t>(count, otherwise)));
  if (numbers.size() != count) {
    return InvalidArgument("{} has {} numbers, needs {}", name, numbers.size(), count);
  }
  for (const int64_t number : numbers) {
    if (number >= least && number <= kMost) continue;
    return InvalidArgument("{} has {}, allowed are {} to {}", name, number, least, kMost);
  }
  return numbers;
}

// SAME_UPPER and SAME_LOWER: as many outputs as strides fit the input; an odd padding goes to the
// end or to the beginning.
void PadSame(const ir::Shape& input, bool upper, Windows& windows) {
  for (int i = 0; i < 2; ++i) {
    const int64_t size = input[i + 2], stride = windows.stride[i];
    const int64_t span = windows.dilation[i] * (windows.kernel[i] - 1) + 1;
    windows.outputs[i] = (size + stride - 1) / stride;
    const int64_t padding = std::max<int64_t>(0, (windows.outputs[i] - 1) * stride + span - size);
    windows.before[i] = upper ? padding / 2 : padding - padding / 2;
    windows.after[i] = padding - windows.before[i];
  }
}

Status CountOutputs(const ir::Shape& input, Windows& windows) {
  for (int i = 0; i < 2; ++i) {
    const int64_t span = windows.dilation[i] * (windows.kernel[i] - 1) + 1;
    const int64_t room = input[i + 2] + windows.before[i] + windows.after[i] - span;
    if (room < 0) {
      return InvalidArgument("the window spans {}, the padded input has {}", span, room + span);
    }
    const int64_t stride = windows.stride[i];
    windows.outputs[i] = (windows.ceil_mode ? (room + stride - 1) / stride : room / stride) + 1;
    // The last window has to begin before the padding at the end.
    if (windows.ceil_mode &&
        (windows.outputs[i] - 1) * stride >= input[i + 2] + windows.before[i]) {
      --windows.outputs[i];
    }
  }
  return {};
}

}  // namespace

Result<Windows> ReadWindows(const NodeCall& call, const ir::Shape& input,
                            std::vector<int64_t> kernel) {
  if (input.size() != 4) {
    return Unsupported("works on {}; supported is [N, C, H, W]", ir::ShapeToString(input));
  }
  if (kernel.empty() || call.HasAttribute("kernel_shape")) {
    HAQ_ASSIGN_OR_RETURN(const auto given, Numbers(call, "kernel_shape", 2, 1, 0));
    if (!kernel.empty() && given != kernel) {
      return InvalidArgument("kernel_shape is {}x{}, the weight's {}x{}", given[0], given[1],
                             kernel[0], kernel[1]);
    }
    kernel = given;
  }
  HAQ_ASSIGN_OR_RETURN(const auto strides, Numbers(call, "strides", 2, 1, 1));
  HAQ_ASSIGN_OR_RETURN(const auto dilations, Numbers(call, "dilations", 2, 1, 1));
  HAQ_ASSIGN_OR_RETURN(const auto pads, Numbers(call, "pads", 4, 0, 0));
  HAQ_ASSIGN_OR_RETURN(const int64_t ceil_mode, call.Int("ceil_mode", 0));
  HAQ_ASSIGN_OR_RETURN(const std::string mode, call.Text("auto_pad", "NOTSET"));
  Windows windows{{kernel[0], kernel[1]}, {strides[0], strides[1]}, {dilations[0], dilations[1]},
                  {pads[0], pads[1]},     {pads[2], pads[3]},       {},
                  ceil_mode != 0};
  if (kernel[0] > kMost || kernel[1] > kMost) {
    return InvalidArgument("a kernel of {}x{}", kernel[0], kernel[1]);
  }
  if (mode == "SAME_UPPER" || mode == "SAME_LOWER") {
    PadSame(input, mode == "SAME_UPPER", windows);
    return windows;
  }
  if (mode == "VALID") {
    windows.before = windows.after = {0, 0};
  } else if (mode != "NOTSET") {
    return InvalidArgument("auto_pad is '{}'", mode);
  }
  HAQ_RETURN_IF_ERROR(CountOutputs(input, windows));
  return windows;
}

}  // namespace haq::import::from_onnx
