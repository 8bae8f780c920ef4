// How models are built rather than what they compute: modules, names, control flow, containers.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/passes/freeze_module.h>

#include "tests/unit/core/import/torchscript/script.h"

namespace haq::import {
namespace {

using testing::ElementsAre;

torch::jit::Module Conv(int64_t inputs, int64_t outputs) {
  return MakeModule("def forward(self, x):\n  return torch.conv2d(x, self.w, None, 1, 1)\n",
                    {{"w", {outputs, inputs, 3, 3}}});
}

torch::jit::Module Norm(int64_t channels) {
  torch::jit::Module module = MakeModule(
      "", {{"weight", {channels}}, {"b", {channels}}, {"mean", {channels}}, {"var", {channels}}});
  module.register_attribute("training", c10::BoolType::get(), true);
  module.define(
      "def forward(self, x):\n"
      "  return torch.batch_norm(x, self.weight, self.b, self.mean, self.var, self.training, 0.1, "
      "1e-5, True)\n");
  return module;
}

torch::jit::Module Block() {
  torch::jit::Module block("Block");
  block.register_module("conv", Conv(4, 4));
  block.register_module("bn", Norm(4));
  block.define(
      "def forward(self, x):\n"
      "  y = torch.relu(self.bn.forward(self.conv.forward(x)))\n"
      "  return torch.relu(y + x)\n");
  return block;
}

torch::jit::Module Network() {
  torch::jit::Module network("Network");
  network.register_module("block", Block());
  network.register_module("stem", Conv(3, 4));
  network.define(
      "def forward(self, x):\n"
      "  x = self.stem.forward(x)\n"
      "  return self.block.forward(x).mean([2, 3])\n");
  network.eval();
  return network;
}

TEST(ImportStructure, NodesAreNamedByTheirPlace) {
  const Result<ir::Graph> graph = Import(Network(), {3, 6, 6});
  ASSERT_TRUE(graph.ok()) << graph.status().ToString();
  std::vector<std::string> names;
  for (const ir::Node& node : graph->nodes) names.push_back(node.name);
  EXPECT_THAT(names, ElementsAre("stem", "block.conv", "block.relu", "block.add", "block.relu_2",
                                 "mean", "mean.reshape"));
  EXPECT_EQ(graph->values[graph->input].name, "input");
  EXPECT_EQ(graph->values[graph->nodes[1].output].name, "block.conv");
}

TEST(ImportStructure, ModulesGiveWhatLibTorchGives) {
  EXPECT_EQ(ImportAndCompare(Network(), {3, 6, 6}),
            "conv2d conv2d clamp add clamp avg_pool2d reshape");
}

TEST(ImportStructure, TrainingModeIsLeftBehind) {
  torch::jit::Module network = Network();
  network.train();
  EXPECT_TRUE(Import(network, {3, 6, 6}).ok());
}

TEST(ImportStructure, FrozenModelsGiveTheSame) {
  torch::jit::Module frozen = torch::jit::freeze_module(Network());
  EXPECT_EQ(ImportAndCompare(frozen, {3, 6, 6}),
            "conv2d conv2d clamp add clamp avg_pool2d reshape");
}

TEST(ImportStructure, ASharedModuleIsTwoLayers) {
  torch::jit::Module network("Twice");
  network.register_module("conv", Conv(3, 3));
  network.define("def forward(self, x):\n  return self.conv.forward(self.conv.forward(x))\n");
  EXPECT_EQ(ImportAndCompare(network, {3, 5, 5}), "conv2d conv2d");
}

std::string RunBody(const std::string& body, const std::vector<int64_t>& shape) {
  return ImportAndCompare(MakeModule("def forward(self, x):\n" + body), shape);
}

TEST(ImportStructure, BranchesOnShapesAndFlagsAreTaken) {
  const std::string body =
      "  if x.size(2) % 2 == 1:\n"
      "    x = torch.constant_pad_nd(x, [0, 0, 0, 1])\n"
      "  if x.dim() == 4 and x.size(1) > 2:\n"
      "    x = torch.tanh(x)\n"
      "  else:\n"
      "    x = torch.relu(x)\n"
      "  return x\n";
  EXPECT_EQ(RunBody(body, {3, 5, 4}), "pad tanh");
  EXPECT_EQ(RunBody(body, {2, 4, 4}), "clamp");
}

TEST(ImportStructure, LoopsAreUnrolled) {
  EXPECT_EQ(RunBody("  for i in range(3):\n    x = torch.tanh(x + i)\n  return x\n", {4}),
            "tanh channel_affine tanh channel_affine tanh");
  EXPECT_EQ(RunBody("  i = 0\n  while i * 2 < x.size(1):\n    x = torch.tanh(x)\n    i += 1\n"
                    "  return x\n",
                    {4}),
            "tanh tanh");
}

TEST(ImportStructure, ContainersCarryActivations) {
  EXPECT_EQ(RunBody("  features = [x]\n"
                    "  for i in range(2):\n"
                    "    features.append(torch.tanh(torch.cat(features, 1)))\n"
                    "  features = features + [x]\n"
                    "  return torch.cat(features, 1)\n",
                    {2}),
            "tanh concat tanh concat");
  EXPECT_EQ(RunBody("  d = {'a': torch.tanh(x)}\n  d['b'] = x\n  t = (d['a'], d['b'])\n"
                    "  a, b = t\n  return a * b\n",
                    {2}),
            "tanh mul");
}

TEST(ImportStructure, InPlaceOperatorsChangeWhatOthersSee) {
  EXPECT_EQ(RunBody("  y = x * 2\n  z = y\n  y.tanh_()\n  return z * x\n", {3}),
            "channel_affine tanh mul");
  EXPECT_EQ(RunBody("  y = torch.zeros([1, 3])\n  y += 1\n  y += x\n  return y * y\n", {3}),
            "channel_affine mul");
}

TEST(ImportStructure, TupleOfOneTensorAndNothingIsOneOutput) {
  EXPECT_EQ(RunBody("  return (torch.tanh(x), None)\n", {3}), "tanh");
}

TEST(ImportStructure, OptionalArgumentsTakeTheirDefaults) {
  EXPECT_EQ(ImportAndCompare(MakeModule("def forward(self, x, scale: float = 2.0):\n"
                                        "  return x * scale\n"),
                             {3}),
            "channel_affine");
}

TEST(ImportStructure, DoubleAndHalfWeightsBecomeFloat) {
  for (const auto type : {at::kDouble, at::kHalf}) {
    torch::jit::Module module =
        MakeModule("def forward(self, x):\n  return torch.linear(x, self.w)\n", {{"w", {2, 3}}});
    module.setattr("w", module.attr("w").toTensor().to(type));
    const Result<ir::Graph> graph = Import(module, {3});
    ASSERT_TRUE(graph.ok()) << graph.status().ToString();
    EXPECT_EQ(Kinds(*graph), "linear");
  }
}

TEST(ImportStructure, PlacesNameTheModuleAndTheOperator) {
  torch::jit::Module network("Outer");
  torch::jit::Module inner("Inner");
  inner.register_module("act", MakeModule("def forward(self, x):\n  return torch.erf(x)\n"));
  inner.define("def forward(self, x):\n  return self.act.forward(x)\n");
  network.register_module("features", inner);
  network.define("def forward(self, x):\n  return self.features.forward(x)\n");
  EXPECT_THAT(Import(network, {3}).status().message(),
              testing::HasSubstr("aten::erf at 'features.act' ("));
}

TEST(ImportStructure, SupportedOperatorsAreSortedAndQualified) {
  const std::vector<std::string> names = SupportedTorchScriptOperators();
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_THAT(names, testing::IsSupersetOf({"aten::conv2d", "aten::relu_", "aten::dropout"}));
}

}  // namespace
}  // namespace haq::import
