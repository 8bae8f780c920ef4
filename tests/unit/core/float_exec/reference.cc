#include "tests/unit/core/float_exec/reference.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace haq::float_exec {

namespace {

using ir::Shape;

// A sample with its shape; positions are multi-indices.
struct Array {
  Shape shape;
  Elements data;

  size_t Offset(const Shape& position) const {
    int64_t offset = 0;
    for (size_t i = 0; i < shape.size(); ++i) offset = offset * shape[i] + position[i];
    return static_cast<size_t>(offset);
  }
  float At(const Shape& position) const { return data[Offset(position)]; }
  bool Holds(const Shape& position) const {
    for (size_t i = 0; i < shape.size(); ++i) {
      if (position[i] < 0 || position[i] >= shape[i]) return false;
    }
    return true;
  }
};

// Fills `shape` by position.
Elements Fill(const Shape& shape, const std::function<double(const Shape&)>& value) {
  Elements elements;
  Shape position(shape.size(), 0);
  for (int64_t i = 0; i < *ir::ElementCount(shape); ++i) {
    elements.push_back(static_cast<float>(value(position)));
    for (size_t d = shape.size(); d-- > 0;) {
      if (++position[d] < shape[d]) break;
      position[d] = 0;
    }
  }
  return elements;
}

struct Evaluate {
  const std::vector<Array>& inputs;
  const Shape& output;
  const Array& x() const { return inputs[0]; }

  Elements Map(const std::function<double(double)>& f) const {
    return Fill(output, [&](const Shape& p) { return f(x().At(p)); });
  }

  Elements operator()(const ir::Conv2d& op) const {
    const int64_t outputs_per_group = op.weight.shape[0] / op.groups, ci = op.weight.shape[1];
    const Array weight{op.weight.shape, op.weight.data};
    return Fill(output, [&](const Shape& p) {
      double sum = op.bias.empty() ? 0 : op.bias[p[1]];
      for (int64_t c = 0; c < ci; ++c) {
        for (int64_t i = 0; i < op.weight.shape[2]; ++i) {
          for (int64_t j = 0; j < op.weight.shape[3]; ++j) {
            const Shape at = {0, p[1] / outputs_per_group * ci + c,
                              p[2] * op.stride[0] - op.padding.top + i * op.dilation[0],
                              p[3] * op.stride[1] - op.padding.left + j * op.dilation[1]};
            if (x().Holds(at)) sum += double{x().At(at)} * weight.At({p[1], c, i, j});
          }
        }
      }
      return sum;
    });
  }
  Elements operator()(const ir::Linear& op) const {
    return Fill(output, [&](const Shape& p) {
      double sum = op.bias.empty() ? 0 : op.bias[p.back()];
      Shape at = p;
      for (at.back() = 0; at.back() < op.weight.shape[1]; ++at.back()) {
        sum += double{x().At(at)} * op.weight.data[p.back() * op.weight.shape[1] + at.back()];
      }
      return sum;
    });
  }
  Elements operator()(const ir::ChannelAffine& op) const {
    return Fill(output, [&](const Shape& p) {
      return double{x().At(p)} * op.scale[p[1]] + op.shift[p[1]];
    });
  }
  Elements operator()(const ir::Clamp& op) const {
    return Fill(output, [&](const Shape& p) {
      const double high = op.channel_high.empty() ? op.high : op.channel_high[p[1]];
      return std::min<double>(std::max<double>(x().At(p), op.low), high);
    });
  }
  Elements operator()(const ir::LeakyRelu& op) const {
    return Map([&](double v) { return v < 0 ? v * op.slope : v; });
  }
  Elements operator()(const ir::Sigmoid&) const {
    return Map([](double v) { return 1 / (1 + std::exp(-v)); });
  }
  static double HardGate(double v) { return std::min(std::max(v / 6 + 0.5, 0.0), 1.0); }
  Elements operator()(const ir::HardSigmoid&) const { return Map(HardGate); }
  Elements operator()(const ir::Silu&) const {
    return Map([](double v) { return v / (1 + std::exp(-v)); });
  }
  Elements operator()(const ir::HardSwish&) const {
    return Map([](double v) { return v * HardGate(v); });
  }
  Elements operator()(const ir::Tanh&) const {
    return Map([](double v) { return std::tanh(v); });
  }

  Elements Combine(const std::function<double(double, double)>& f) const {
    const auto read = [](const Array& array, Shape p) {
      for (size_t i = 0; i < p.size(); ++i) p[i] = array.shape[i] == 1 ? 0 : p[i];
      return array.At(p);
    };
    return Fill(output, [&](const Shape& p) { return f(read(inputs[0], p), read(inputs[1], p)); });
  }
  Elements operator()(const ir::Add&) const { return Combine(std::plus<>()); }
  Elements operator()(const ir::Mul&) const { return Combine(std::multiplies<>()); }

  Elements operator()(const ir::Concat& op) const {
    return Fill(output, [&](Shape p) {
      size_t i = 0;
      while (p[op.axis] >= inputs[i].shape[op.axis]) p[op.axis] -= inputs[i++].shape[op.axis];
      return inputs[i].At(p);
    });
  }
  Elements operator()(const ir::MaxPool2d& op) const {
    return Fill(output, [&](const Shape& p) {
      double best = -std::numeric_limits<double>::infinity();
      for (int64_t i = 0; i < op.kernel[0]; ++i) {
        for (int64_t j = 0; j < op.kernel[1]; ++j) {
          const Shape at = {0, p[1], p[2] * op.stride[0] - op.padding.top + i * op.dilation[0],
                            p[3] * op.stride[1] - op.padding.left + j * op.dilation[1]};
          if (x().Holds(at)) best = std::max<double>(best, x().At(at));
        }
      }
      return best;
    });
  }
  Elements operator()(const ir::AvgPool2d& op) const {
    return Fill(output, [&](const Shape& p) {
      double sum = 0;
      int64_t count = 0;
      for (int64_t i = op.row_begin[p[2]]; i < op.row_end[p[2]]; ++i) {
        for (int64_t j = op.column_begin[p[3]]; j < op.column_end[p[3]]; ++j, ++count) {
          sum += x().At({0, p[1], i, j});
        }
      }
      return sum / static_cast<double>(op.divisor == 0 ? count : op.divisor);
    });
  }
  Elements operator()(const ir::Reshape&) const { return x().data; }
  Elements operator()(const ir::Permute& op) const {
    return Fill(output, [&](const Shape& p) {
      Shape at(p.size());
      for (size_t i = 0; i < p.size(); ++i) at[op.order[i]] = p[i];
      return x().At(at);
    });
  }
  Elements operator()(const ir::Pad& op) const {
    return Fill(output, [&](Shape p) {
      for (size_t i = 0; i < p.size(); ++i) p[i] -= op.before[i];
      return x().Holds(p) ? x().At(p) : op.value;
    });
  }
  Elements operator()(const ir::Slice& op) const {
    return Fill(output, [&](Shape p) {
      p[op.axis] = op.start + p[op.axis] * op.step;
      return x().At(p);
    });
  }
  Elements operator()(const ir::Softmax& op) const {
    return Fill(output, [&](const Shape& p) {
      double sum = 0;
      Shape at = p;
      for (at[op.axis] = 0; at[op.axis] < output[op.axis]; ++at[op.axis]) {
        sum += std::exp(double{x().At(at)});
      }
      return std::exp(double{x().At(p)}) / sum;
    });
  }
};

}  // namespace

std::vector<Elements> RunReference(const ir::Graph& graph, const Elements& input) {
  std::vector<Elements> values(graph.values.size());
  values[graph.input] = input;
  for (const ir::Node& node : graph.nodes) {
    std::vector<Array> inputs;
    for (const ir::ValueId id : node.inputs) inputs.push_back({graph.values[id].shape, values[id]});
    values[node.output] = std::visit(Evaluate{inputs, graph.values[node.output].shape}, node.op);
  }
  return values;
}

}  // namespace haq::float_exec
