// A TorchScript model run by LibTorch itself, without the graph that the importer makes of it: what
// INT8 is compared with in time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/base/status.h"

namespace haq::import {

// As fast as LibTorch makes it: frozen and optimized for inference. Not thread-safe.
class TorchScriptRunner {
 public:
  // A model that ImportTorchScript takes; errors as there.
  static Result<std::unique_ptr<TorchScriptRunner>> Create(std::span<const uint8_t> bytes,
                                                           std::vector<int64_t> input_shape);
  ~TorchScriptRunner();

  // One sample of the input's shape, on the calling thread alone; the result is dropped.
  // kInternal carries LibTorch's message.
  Status Run(std::span<const float> sample);

 private:
  struct Impl;
  explicit TorchScriptRunner(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace haq::import
