// Real networks, from ONNX and from TorchScript. Their files lie beside the repository, or in
// $HAQ_SHARED.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "core/base/file.h"
#include "core/float_exec/executor.h"
#include "core/import/onnx/import.h"
#include "core/import/torchscript/import.h"

namespace haq::import {
namespace {

std::filesystem::path ModelPath(const std::string& name) {
  const char* shared = std::getenv("HAQ_SHARED");
  const std::filesystem::path root =
      shared != nullptr
          ? shared
          : std::filesystem::path(__FILE__).parent_path() / "../../../../../../shared";
  return root / "models" / name;
}

Result<ir::Graph> Import(const std::string& name, int64_t side) {
  HAQ_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(ModelPath(name)));
  const std::vector<int64_t> shape{3, side, side};
  return name.ends_with(".pt") ? ImportTorchScript(file.bytes(), shape)
                               : ImportOnnx(file.bytes(), shape);
}

std::string Kinds(const ir::Graph& graph) {
  std::string kinds;
  for (const ir::Node& node : graph.nodes) kinds += std::string(ir::OpName(node.op)) + " ";
  return kinds;
}

std::vector<float> Outputs(const ir::Graph& graph) {
  auto executor = float_exec::Executor::Create(graph, 1);
  EXPECT_TRUE(executor.ok()) << executor.status().ToString();
  std::vector<float> input(*ir::ElementCount(graph.values[graph.input].shape) * 2);
  for (size_t i = 0; i < input.size(); ++i) input[i] = std::sin(0.7f * static_cast<float>(i)) * 2;
  std::vector<float> output(*ir::ElementCount(graph.values[graph.output].shape) * 2);
  const Status status = (*executor)->Run(2, input, output);
  EXPECT_TRUE(status.ok()) << status.ToString();
  return output;
}

struct Model {
  std::string name;
  int64_t side;
};

class OnnxSharedModelTest : public testing::TestWithParam<Model> {};

// The same operators with the same weights: what is made of the two can differ in names only.
TEST_P(OnnxSharedModelTest, IsTheNetworkOfItsTorchScriptFile) {
  const auto& [name, side] = GetParam();
  if (!std::filesystem::exists(ModelPath(name + ".onnx"))) {
    GTEST_SKIP() << "no " << ModelPath(name + ".onnx") << "; set HAQ_SHARED";
  }
  const auto onnx = Import(name + ".onnx", side), torch = Import(name + ".pt", side);
  ASSERT_TRUE(onnx.ok()) << onnx.status().ToString();
  ASSERT_TRUE(torch.ok()) << torch.status().ToString();
  EXPECT_EQ(Kinds(*onnx), Kinds(*torch));
  EXPECT_EQ(Outputs(*onnx), Outputs(*torch));
}

INSTANTIATE_TEST_SUITE_P(Shared, OnnxSharedModelTest,
                         testing::Values(Model{"mobilenet_v2_imagenet", 224},
                                         Model{"resnet20_cifar10", 32},
                                         Model{"googlenet_cifar10", 32},
                                         Model{"vgg16_cifar10", 32}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace haq::import
