// The FP32 network as a graph with static shapes: what importers produce, passes rewrite,
// float_exec runs and lower quantizes.
//
// Conventions. Every value has one producer: a node, or the graph input. Nodes stand in topological
// order. Dimension 0 of every shape is the batch and is 1; executors run any batch by scaling it.
// Image tensors are [N, C, H, W]; nothing here knows how a backend lays them out.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/status.h"

namespace haq::ir {

using Shape = std::vector<int64_t>;
using ValueId = int32_t;

// "1x3x224x224"
std::string ShapeToString(const Shape& shape);
// Product of the dimensions; kInvalidArgument for a dimension below 1 or a product over 2^40.
Result<int64_t> ElementCount(const Shape& shape);

// Constant data, row-major.
struct Constant {
  Shape shape;
  std::vector<float> data;
};

struct Padding2d {
  int64_t top = 0, left = 0, bottom = 0, right = 0;
  bool operator==(const Padding2d&) const = default;
};

// x [N, C, H, W] * weight [O, C / groups, KH, KW] + bias [O]
struct Conv2d {
  Constant weight;
  std::vector<float> bias;  // O values, or empty
  std::array<int64_t, 2> stride{1, 1};
  std::array<int64_t, 2> dilation{1, 1};
  Padding2d padding;
  int64_t groups = 1;
};
// x [N, ..., I] * weight [O, I]^T + bias [O]
struct Linear {
  Constant weight;
  std::vector<float> bias;  // O values, or empty
};
// x [N, C, ...] * scale[c] + shift[c]: batch norm that could not be folded, arithmetic with
// constants.
struct ChannelAffine {
  std::vector<float> scale, shift;
};
// min(max(x, low), high): ReLU is [0, inf), ReLU6 [0, 6]. With `channel_high`, which is empty or
// has one value for every index of dimension 1, the upper end of channel c is channel_high[c]
// instead: what a ReLU6 becomes whose channels were scaled.
struct Clamp {
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
  std::vector<float> channel_high = {};
};
struct LeakyRelu {
  float slope = 0.01f;
};
struct Sigmoid {};
struct HardSigmoid {};  // min(max(x / 6 + 0.5, 0), 1)
struct Silu {};         // x * sigmoid(x)
struct HardSwish {};    // x * min(max(x + 3, 0), 6) / 6
struct Tanh {};
// Elementwise; shapes equal, or b is [N, C, 1, 1] beside a [N, C, H, W] (squeeze and excitation),
// either way round.
struct Add {};
struct Mul {};
struct Concat {
  int64_t axis = 1;
};
// Padded positions do not exist for the maximum.
struct MaxPool2d {
  std::array<int64_t, 2> kernel{1, 1}, stride{1, 1}, dilation{1, 1};
  Padding2d padding;  // bottom and right include what ceil_mode adds
};
// Output (i, j) is the mean over rows [row_begin[i], row_end[i]) and columns likewise. Every kind
// of average pooling is this: the importer writes the windows out. `divisor` 0 divides by the
// number of elements of the window; otherwise every window is divided by it (count_include_pad,
// divisor_override).
struct AvgPool2d {
  std::vector<int64_t> row_begin, row_end, column_begin, column_end;
  int64_t divisor = 0;
};
struct Reshape {
};  // to the output's shape; the order of elements in [N, C, H, W] terms does not change
struct Permute {
  std::vector<int64_t> order;  // output dimension i is input dimension order[i]; order[0] == 0
};
// Constant padding, per dimension; dimension 0 is not padded.
struct Pad {
  std::vector<int64_t> before, after;
  float value = 0;
};
// Elements start, start + step, ... of `axis`; how many follows from the output's shape. axis != 0,
// step >= 1.
struct Slice {
  int64_t axis = 1, start = 0, step = 1;
};
struct Softmax {
  int64_t axis = 1;
};

using Op = std::variant<Conv2d, Linear, ChannelAffine, Clamp, LeakyRelu, Sigmoid, HardSigmoid, Silu,
                        HardSwish, Tanh, Add, Mul, Concat, MaxPool2d, AvgPool2d, Reshape, Permute,
                        Pad, Slice, Softmax>;
// "conv2d", "linear", "clamp", ...: stable names, used in reports and artifacts.
std::string_view OpName(const Op& op);

struct Value {
  std::string name;  // unique; the output name of its producer in the source model where it has one
  Shape shape;       // shape[0] == 1
};

struct Node {
  std::string name;  // unique; its place in the source model, e.g. "layer1.0.conv1"
  Op op;
  std::vector<ValueId> inputs;
  ValueId output = -1;
};

struct Graph {
  std::vector<Value> values;
  std::vector<Node> nodes;  // topological order
  ValueId input = -1;
  ValueId output = -1;

  ValueId AddValue(std::string name, Shape shape);
  // Appends a node whose output is a new value of that shape; returns the value.
  ValueId AddNode(std::string name, Op op, std::vector<ValueId> inputs, Shape output_shape);
  // Index of the node that makes `value`, or -1 for the graph input.
  int ProducerOf(ValueId value) const;
  // How many node inputs read `value` (the graph output counts once more).
  int UseCount(ValueId value) const;
};

// For messages: 'tensor "conv1", output of layer "conv1" (conv2d)'.
std::string DescribeValue(const Graph& graph, ValueId value);

// Output shape of `op` for the given input shapes, with every attribute checked; the error says
// which attribute or shape was wrong. Reshape takes its output shape from `declared`, Slice the
// length of its axis; other operators ignore it.
Result<Shape> InferShape(const Op& op, const std::vector<Shape>& inputs, const Shape& declared);

// Everything the conventions above promise: order, arity, shapes, finite weights, unique names, and
// no value without a producer. kInvalidArgument names the node.
Status Verify(const Graph& graph);

}  // namespace haq::ir
