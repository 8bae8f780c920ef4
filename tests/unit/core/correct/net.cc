#include "tests/unit/core/correct/net.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "core/eval/accuracy.h"
#include "core/float_exec/executor.h"
#include "core/runtime/session.h"

namespace haq::correct {

ir::ValueId Net::Add(ir::Op op, std::vector<ir::ValueId> inputs, const ir::Shape& declared) {
  std::vector<ir::Shape> shapes;
  for (const ir::ValueId input : inputs) shapes.push_back(graph.values[input].shape);
  const auto shape = ir::InferShape(op, shapes, declared);
  EXPECT_TRUE(shape.ok()) << shape.status().ToString();
  return graph.AddNode("node" + std::to_string(graph.nodes.size()), std::move(op),
                       std::move(inputs), *shape);
}

ir::ValueId Net::Conv(ir::ValueId x, int64_t out, int64_t groups, int64_t stride) {
  const int64_t in = graph.values[x].shape[1] / groups;
  ir::Conv2d conv;
  conv.weight = {{out, in, 3, 3}, Normal(out * in * 9, 1 / std::sqrt(float(in) * 9))};
  conv.bias = Normal(out, 0.2f);
  conv.padding = {1, 1, 1, 1};
  conv.stride = {stride, stride};
  conv.groups = groups;
  return Add(std::move(conv), {x});
}

ir::ValueId Net::Linear(ir::ValueId x, int64_t out) {
  const int64_t in = graph.values[x].shape[1];
  ir::Linear linear;
  linear.weight = {{out, in}, Normal(out * in, 1 / std::sqrt(float(in)))};
  return Add(std::move(linear), {x});
}

namespace {

// What a correction is worth depends on the network that is drawn: every Net starts the same
// numbers, in whatever order tests run.
std::mt19937 engine;

}  // namespace

Net::Net(ir::Shape input) {
  graph.input = graph.AddValue("input", std::move(input));
  engine.seed(1);
}

std::vector<float> Normal(int64_t count, float deviation) {
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = normal(engine);
  return values;
}

namespace {

int64_t Elements(const ir::Graph& graph, ir::ValueId value) {
  return *ir::ElementCount(graph.values[value].shape);
}

}  // namespace

std::vector<float> RunFp32(const ir::Graph& graph, int64_t n, std::span<const float> images) {
  auto executor = float_exec::Executor::Create(graph, 1);
  std::vector<float> output(n * Elements(graph, graph.output));
  EXPECT_TRUE((*executor)->Run(n, images, output).ok());
  return output;
}

std::vector<float> RunInt8(const lower::Lowered& lowered, int64_t n,
                           std::span<const float> images) {
  auto model = runtime::LoadedModel::Create(lowered.model);
  EXPECT_TRUE(model.ok()) << model.status().ToString();
  auto session = runtime::Session::Create(*model, n);
  std::vector<float> output(n * (*model)->output_elements());
  EXPECT_TRUE((*session)->Run(n, images, output).ok());
  return output;
}

std::vector<quant::Range> RangesOf(const ir::Graph& graph, int64_t n, std::span<const float> images,
                                   const char* method) {
  auto executor = float_exec::Executor::Create(graph, 1);
  calib::Calibrator calibrator(graph, method);
  EXPECT_TRUE(calibrator.ObserveBatch(**executor, n, images).ok());
  auto ranges = calibrator.ChooseRanges();
  EXPECT_TRUE(ranges.ok()) << ranges.status().ToString();
  return *ranges;
}

double SqnrDb(std::span<const float> exact, std::span<const float> rounded) {
  eval::Sqnr sqnr;
  sqnr.Add(exact, rounded);
  return sqnr.Decibel();
}

}  // namespace haq::correct
