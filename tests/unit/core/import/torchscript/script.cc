#include "tests/unit/core/import/torchscript/script.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>

#include "core/float_exec/executor.h"

namespace haq::import {

namespace {

// Once per process: printed, and taken from HAQ_TEST_SEED.
void SeedOnce() {
  static const bool seeded = [] {
    const char* text = std::getenv("HAQ_TEST_SEED");
    const uint64_t seed = text != nullptr ? std::strtoull(text, nullptr, 10) : 20240117;
    std::printf("HAQ_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
    at::manual_seed(seed);
    return true;
  }();
  (void)seeded;
}

at::Tensor OnlyTensor(const c10::IValue& value) {
  return value.isTuple() ? value.toTupleRef().elements()[0].toTensor() : value.toTensor();
}

void Compare(const ir::Graph& graph, torch::jit::Module module,
             const std::vector<int64_t>& input_shape, int64_t n) {
  std::vector<int64_t> shape = input_shape;
  shape.insert(shape.begin(), n);
  const at::Tensor x = at::randn(shape) * 3;
  std::vector<at::Tensor> expected;
  const at::NoGradGuard no_grad;
  for (int64_t i = 0; i < n; ++i) {
    expected.push_back(OnlyTensor(module.forward({x.slice(0, i, i + 1).clone()})).flatten());
  }
  const at::Tensor all = at::cat(expected).contiguous();

  auto executor = float_exec::Executor::Create(graph, 1);
  ASSERT_TRUE(executor.ok()) << executor.status().ToString();
  std::vector<float> output(static_cast<size_t>(all.numel()));
  const at::Tensor before = x.clone();
  const Status status =
      (*executor)->Run(n, {x.data_ptr<float>(), static_cast<size_t>(x.numel())}, output);
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_TRUE(x.equal(before)) << "the executor wrote into its input";
  const at::Tensor actual = at::from_blob(output.data(), all.sizes());
  const double largest = std::max(1e-6, all.abs().max().item<double>());
  EXPECT_LE((actual - all).abs().max().item<double>(), 1e-4 * largest) << "batch of " << n;
}

}  // namespace

torch::jit::Module MakeModule(
    const std::string& source,
    const std::vector<std::pair<std::string, std::vector<int64_t>>>& buffers) {
  SeedOnce();
  torch::jit::Module module("TestModule");
  for (const auto& [name, shape] : buffers) {
    const at::Tensor values = at::rand(shape) + 0.5;
    module.register_buffer(name, name[0] == 'w' ? values * at::randn(shape).sign() : values);
  }
  module.define(source);
  return module;
}

std::vector<uint8_t> Save(const torch::jit::Module& module) {
  std::ostringstream stream;
  module.save(stream);
  const std::string text = stream.str();
  return {text.begin(), text.end()};
}

Result<ir::Graph> Import(const torch::jit::Module& module,
                         const std::vector<int64_t>& input_shape) {
  return ImportTorchScript(Save(module), input_shape);
}

std::string Kinds(const ir::Graph& graph) {
  std::string kinds;
  for (const ir::Node& node : graph.nodes) {
    if (!kinds.empty()) kinds += ' ';
    kinds += ir::OpName(node.op);
  }
  return kinds;
}

std::string ImportAndCompare(const torch::jit::Module& module,
                             const std::vector<int64_t>& input_shape) {
  const Result<ir::Graph> graph = Import(module, input_shape);
  EXPECT_TRUE(graph.ok()) << graph.status().ToString();
  if (!graph.ok()) return "";
  EXPECT_TRUE(ir::Verify(*graph).ok());
  for (const int64_t n : {1, 3}) Compare(*graph, module.clone(), input_shape, n);
  return Kinds(*graph);
}

}  // namespace haq::import
