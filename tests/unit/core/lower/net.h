// Networks built by hand, and what becomes of them: what the tests of this folder share.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <functional>
#include <random>

#include "core/calib/calibrator.h"
#include "core/eval/accuracy.h"
#include "core/float_exec/executor.h"
#include "core/lower/lower.h"
#include "core/runtime/session.h"

namespace haq::lower {

class Random {
 public:
  std::vector<float> Normal(int64_t count, float scale = 1) {
    std::normal_distribution<float> normal(0, scale);
    std::vector<float> values(count);
    for (float& value : values) value = normal(engine_);
    return values;
  }

 private:
  std::mt19937 engine_{[] {
    const char* seed = std::getenv("HAQ_TEST_SEED");
    return static_cast<unsigned>(seed ? std::atoi(seed) : 11);
  }()};
};

// A graph under construction; every method appends a node and returns its value.
struct Net {
  ir::Graph graph;
  Random random;

  explicit Net(ir::Shape input) { graph.input = graph.AddValue("input", std::move(input)); }

  ir::ValueId Add(ir::Op op, std::vector<ir::ValueId> inputs, ir::Shape declared = {}) {
    std::vector<ir::Shape> shapes;
    for (const ir::ValueId input : inputs) shapes.push_back(graph.values[input].shape);
    const auto shape = ir::InferShape(op, shapes, declared);
    EXPECT_TRUE(shape.ok()) << shape.status().ToString();
    return graph.AddNode("node" + std::to_string(graph.nodes.size()), std::move(op),
                         std::move(inputs), *shape);
  }
  ir::ValueId Conv(ir::ValueId x, int64_t out, int64_t kernel, int64_t stride = 1,
                   int64_t groups = 1, ir::Padding2d padding = {}, int64_t dilation = 1) {
    const int64_t in = graph.values[x].shape[1] / groups;
    ir::Conv2d conv;
    conv.weight = {
        {out, in, kernel, kernel},
        random.Normal(out * in * kernel * kernel, 1 / std::sqrt(float(in * kernel * kernel)))};
    conv.bias = random.Normal(out, 0.3f);
    conv.stride = {stride, stride};
    conv.dilation = {dilation, dilation};
    conv.padding = padding;
    conv.groups = groups;
    return Add(conv, {x});
  }
  ir::ValueId Linear(ir::ValueId x, int64_t out) {
    const int64_t in = graph.values[x].shape[1];
    return Add(ir::Linear{{{out, in}, random.Normal(out * in, 1 / std::sqrt(float(in)))},
                          random.Normal(out, 0.3f)},
               {x});
  }
  ir::ValueId Relu(ir::ValueId x) { return Add(ir::Clamp{0}, {x}); }
};

struct Outcome {
  Lowered lowered;
  double sqnr_db = 0;
};

// Calibrates with min-max on 16 random images, lowers, and measures the output's SQNR on the same.
inline Result<Outcome> RunBoth(const Net& net, const Options& options = {}) {
  constexpr int64_t kImages = 16;
  HAQ_RETURN_IF_ERROR(ir::Verify(net.graph));
  Random random;
  const int64_t inputs = *ir::ElementCount(net.graph.values[net.graph.input].shape);
  const int64_t outputs = *ir::ElementCount(net.graph.values[net.graph.output].shape);
  const std::vector<float> images = random.Normal(kImages * inputs);
  HAQ_ASSIGN_OR_RETURN(const auto executor, float_exec::Executor::Create(net.graph, 1));
  calib::Calibrator calibrator(net.graph, "minmax");
  HAQ_RETURN_IF_ERROR(calibrator.ObserveBatch(*executor, kImages, images));
  HAQ_ASSIGN_OR_RETURN(const auto ranges, calibrator.ChooseRanges());
  Outcome outcome;
  HAQ_ASSIGN_OR_RETURN(outcome.lowered, Lower(net.graph, ranges, options));
  HAQ_ASSIGN_OR_RETURN(const auto model, runtime::LoadedModel::Create(outcome.lowered.model));
  HAQ_ASSIGN_OR_RETURN(const auto session, runtime::Session::Create(model, kImages));
  std::vector<float> fp32(kImages * outputs), int8(kImages * outputs);
  HAQ_RETURN_IF_ERROR(executor->Run(kImages, images, fp32));
  HAQ_RETURN_IF_ERROR(session->Run(kImages, images, int8));
  eval::Sqnr sqnr;
  sqnr.Add(fp32, int8);
  outcome.sqnr_db = sqnr.Decibel();
  return outcome;
}

inline const TensorDecision& DecisionOf(const Outcome& outcome, ir::ValueId value) {
  for (const TensorDecision& decision : outcome.lowered.decisions) {
    if (decision.value == value) return decision;
  }
  ADD_FAILURE() << "no decision for value " << value;
  return outcome.lowered.decisions[0];
}

inline int CountLayers(const Outcome& outcome, std::string_view op) {
  int count = 0;
  for (const auto& layer : outcome.lowered.model.layers) count += artifact::OpName(layer.op) == op;
  return count;
}

}  // namespace haq::lower
