// The grammar of an operator's parameters, once for writing and reading: an archive is called with
// every field in the order of the file. For the sources of this folder.
#pragma once

#include "core/artifact/model.h"

namespace haq::artifact::internal {

template <typename Archive>
void Transfer(Archive& a, fixedpoint::TensorRequantize& r) {
  a(r.fraction_bits), a(r.output_offset), a(r.q_min);
}
template <typename Archive>
void Transfer(Archive& a, fixedpoint::ChannelRequantize& r) {
  a(r.bias), a(r.multiplier), a(r.shift), a(r.q_max);
}
template <typename Archive>
void Transfer(Archive& a, fixedpoint::AddRequantize& r) {
  a(r.multiplier_a), a(r.multiplier_b), a(r.shift), a(r.constant), a(r.q_min), a(r.q_max);
}
template <typename Archive>
void TransferWindow(Archive& a, Window& op) {
  a(op.kernel_h), a(op.kernel_w), a(op.stride_h), a(op.stride_w), a(op.dilation_h);
  a(op.dilation_w), a(op.padding.top), a(op.padding.left), a(op.padding.bottom);
  a(op.padding.right);
}

template <typename Archive>
void Transfer(Archive& a, Conv2d& op) {
  TransferWindow(a, op);
  a(op.groups), Transfer(a, op.requantize), a(op.residual_multiplier), a(op.weight);
  a(op.channels);
}
template <typename Archive>
void Transfer(Archive& a, Linear& op) {
  Transfer(a, op.requantize), a(op.weight), a(op.channels);
}
template <typename Archive>
void Transfer(Archive& a, Add& op) {
  Transfer(a, op.requantize);
}
template <typename Archive>
void Transfer(Archive& a, Mul& op) {
  Transfer(a, op.requantize), Transfer(a, op.channel);
}
template <typename Archive>
void Transfer(Archive& a, Table& op) {
  for (uint8_t& level : op.table) a(level);
}
template <typename Archive>
void Transfer(Archive& a, Concat& op) {
  a(op.axis);
}
template <typename Archive>
void Transfer(Archive& a, MaxPool2d& op) {
  TransferWindow(a, op);
}
template <typename Archive>
void TransferWindows(Archive& a, PoolWindows& op) {
  a(op.row_begin), a(op.row_end), a(op.column_begin), a(op.column_end), a(op.counts);
}
template <typename Archive>
void Transfer(Archive& a, AvgPool2d& op) {
  Transfer(a, op.requantize), TransferWindows(a, op), a(op.by_count);
}
template <typename Archive>
void Transfer(Archive& a, Pad& op) {
  a(op.before), a(op.after), a(op.value);
}
template <typename Archive>
void Transfer(Archive& a, Slice& op) {
  a(op.axis), a(op.start), a(op.step);
}
template <typename Archive>
void Transfer(Archive& a, Transpose& op) {
  a(op.order);
}
template <typename Archive>
void Transfer(Archive&, Reshape&) {}
template <typename Archive>
void Transfer(Archive& a, Softmax& op) {
  a(op.table);
}
template <typename Archive>
void Transfer(Archive& a, WideConv2d& op) {
  TransferWindow(a, op);
  a(op.groups), a(op.q_min), a(op.residual_multiplier), a(op.weight), a(op.channels);
}
template <typename Archive>
void Transfer(Archive& a, WideLinear& op) {
  a(op.q_min), a(op.weight), a(op.channels);
}
template <typename Archive>
void Transfer(Archive& a, WideAdd& op) {
  fixedpoint::WideAddRequantize& r = op.requantize;
  a(r.multiplier_a), a(r.multiplier_b), a(r.shift), a(r.constant), a(r.q_min), a(r.q_max);
}
template <typename Archive>
void Transfer(Archive& a, WideAvgPool2d& op) {
  a(op.q_min), TransferWindows(a, op), a(op.by_count);
}

}  // namespace haq::artifact::internal
