// Real networks against LibTorch. Their files lie beside the repository, or in $HAQ_SHARED.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/serialization/import.h>

#include <cstdlib>
#include <filesystem>

#include "core/base/file.h"
#include "tests/unit/core/import/torchscript/script.h"

namespace haq::import {
namespace {

struct Model {
  std::string name;
  int64_t size;
  std::string first_kinds;
};

std::filesystem::path ModelPath(const std::string& name) {
  const char* shared = std::getenv("HAQ_SHARED");
  const std::filesystem::path root =
      shared != nullptr
          ? shared
          : std::filesystem::path(__FILE__).parent_path() / "../../../../../../shared";
  return root / "models" / (name + ".pt");
}

class SharedModelTest : public testing::TestWithParam<Model> {};

TEST_P(SharedModelTest, GivesLibTorchsLogits) {
  const Model& model = GetParam();
  const std::filesystem::path path = ModelPath(model.name);
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path << "; set HAQ_SHARED";
  const torch::jit::Module module = torch::jit::load(path.string());
  const std::string kinds = ImportAndCompare(module, {3, model.size, model.size});
  EXPECT_THAT(kinds, testing::StartsWith(model.first_kinds));
  EXPECT_THAT(kinds, testing::EndsWith(" linear"));
  // Batch norm is folded, the padding of strided layers is the convolution's own.
  EXPECT_THAT(kinds, testing::Not(testing::HasSubstr("channel_affine")));
}

INSTANTIATE_TEST_SUITE_P(
    Shared, SharedModelTest,
    testing::Values(Model{"mobilenet_v2_imagenet", 224, "conv2d clamp conv2d clamp conv2d"},
                    Model{"resnet20_cifar10", 32, "conv2d clamp conv2d clamp conv2d add"},
                    Model{"googlenet_cifar10", 32, "conv2d clamp"},
                    Model{"vgg16_cifar10", 32, "conv2d clamp conv2d clamp max_pool2d"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace haq::import
