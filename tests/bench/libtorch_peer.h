// What FP32 execution is compared with: the same TorchScript file under LibTorch's own optimizer.
// LibTorch stays behind this header.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace haq::bench {

// torch::jit::optimize_for_inference of the model in the file `path`, which must be readable by
// LibTorch. Exceptions of LibTorch pass through. Not thread-safe.
class LibTorchPeer {
 public:
  explicit LibTorchPeer(const std::string& path);
  ~LibTorchPeer();

  // Runs `input` of that shape, batch first, on `threads` threads; `output` receives the first
  // output.size() elements of the result.
  void Run(const std::vector<int64_t>& shape, std::span<const float> input, int threads,
           std::span<float> output);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace haq::bench
