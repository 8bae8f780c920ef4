#include "core/artifact/model.h"

namespace haq::artifact {
namespace {

struct Namer {
  std::string_view operator()(const Conv2d&) const { return "conv2d"; }
  std::string_view operator()(const Linear&) const { return "linear"; }
  std::string_view operator()(const Add&) const { return "add"; }
  std::string_view operator()(const Mul&) const { return "mul"; }
  std::string_view operator()(const Table&) const { return "table"; }
  std::string_view operator()(const Concat&) const { return "concat"; }
  std::string_view operator()(const MaxPool2d&) const { return "max_pool2d"; }
  std::string_view operator()(const AvgPool2d&) const { return "avg_pool2d"; }
  std::string_view operator()(const Pad&) const { return "pad"; }
  std::string_view operator()(const Slice&) const { return "slice"; }
  std::string_view operator()(const Transpose&) const { return "transpose"; }
  std::string_view operator()(const Reshape&) const { return "reshape"; }
  std::string_view operator()(const Softmax&) const { return "softmax"; }
  std::string_view operator()(const WideConv2d&) const { return "wide_conv2d"; }
  std::string_view operator()(const WideLinear&) const { return "wide_linear"; }
  std::string_view operator()(const WideAdd&) const { return "wide_add"; }
  std::string_view operator()(const WideAvgPool2d&) const { return "wide_avg_pool2d"; }
};

struct Weigher {
  Blob<int8_t> operator()(const Conv2d& op) const { return op.weight; }
  Blob<int8_t> operator()(const Linear& op) const { return op.weight; }
  Blob<int8_t> operator()(const WideConv2d& op) const { return op.weight; }
  Blob<int8_t> operator()(const WideLinear& op) const { return op.weight; }
  template <typename T>
  Blob<int8_t> operator()(const T&) const {
    return {};
  }
};

}  // namespace

std::string_view OpName(const Op& op) { return std::visit(Namer{}, op); }

Blob<int8_t> WeightsOf(const Op& op) { return std::visit(Weigher{}, op); }

}  // namespace haq::artifact
