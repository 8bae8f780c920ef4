#include "core/import/torchscript/runner.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <utility>

#include "core/import/torchscript/load.h"

namespace haq::import {

struct TorchScriptRunner::Impl {
  torch::jit::Module module;
  std::vector<int64_t> shape;  // with the batch
};

Result<std::unique_ptr<TorchScriptRunner>> TorchScriptRunner::Create(
    std::span<const uint8_t> bytes, std::vector<int64_t> input_shape) {
  HAQ_ASSIGN_OR_RETURN(torch::jit::Module module, LoadTorchScript(bytes));
  input_shape.insert(input_shape.begin(), 1);
  try {
    const c10::InferenceMode inference;
    module = torch::jit::optimize_for_inference(module);
  } catch (const std::exception& error) {
    return InternalError("LibTorch cannot optimize the model: {}", FirstLineOf(error));
  }
  return std::unique_ptr<TorchScriptRunner>(new TorchScriptRunner(
      std::make_unique<Impl>(Impl{std::move(module), std::move(input_shape)})));
}

TorchScriptRunner::TorchScriptRunner(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TorchScriptRunner::~TorchScriptRunner() = default;

Status TorchScriptRunner::Run(std::span<const float> sample) {
  if (static_cast<int64_t>(sample.size()) != c10::multiply_integers(impl_->shape)) {
    return InvalidField("sample", "{} values for an input of {}", sample.size(),
                        c10::multiply_integers(impl_->shape));
  }
  at::set_num_threads(1);
  try {
    const c10::InferenceMode inference;
    const at::Tensor input = at::from_blob(const_cast<float*>(sample.data()), impl_->shape);
    (void)impl_->module.forward({input});
  } catch (const std::exception& error) {
    return InternalError("LibTorch cannot run the model: {}", FirstLineOf(error));
  }
  return {};
}

}  // namespace haq::import
