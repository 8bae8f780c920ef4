#include "tests/bench/libtorch_peer.h"

#include <ATen/Parallel.h>
#include <torch/script.h>

#include <cstring>

namespace haq::bench {

struct LibTorchPeer::Impl {
  torch::jit::Module module;
};

LibTorchPeer::LibTorchPeer(const std::string& path) {
  const c10::InferenceMode inference;
  torch::jit::Module module = torch::jit::load(path);
  module.eval();
  impl_.reset(new Impl{torch::jit::optimize_for_inference(module)});
}

LibTorchPeer::~LibTorchPeer() = default;

void LibTorchPeer::Run(const std::vector<int64_t>& shape, std::span<const float> input, int threads,
                       std::span<float> output) {
  const c10::InferenceMode inference;
  at::set_num_threads(threads);
  const c10::IValue result =
      impl_->module.forward({at::from_blob(const_cast<float*>(input.data()), shape)});
  const at::Tensor plain =
      (result.isTuple() ? result.toTupleRef().elements()[0] : result).toTensor().contiguous();
  std::memcpy(output.data(), plain.data_ptr<float>(), output.size_bytes());
}

}  // namespace haq::bench
