// Integer-only execution of a quantized model.
//
// A LoadedModel is immutable and shared by any number of sessions and threads; a Session holds one
// planned arena and runs one call at a time. Nothing is allocated during Run. The bits of the
// output depend on the input alone: not on the batch, the session, the machine or the kernel path.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "core/artifact/model.h"
#include "core/base/status.h"
#include "core/kernels/kernels.h"

namespace haq::runtime {

// Name of the kernels that models run on: "scalar", "avx2", "avx512vnni". Fails where the
// environment variable HAQ_CPU asks for something else than this processor has; see
// kernels::FindKernels.
Result<std::string_view> KernelPath();

class LoadedModel {
 public:
  // Verifies the model, plans its memory, prepares what the kernels want. `kernels`: nullptr for
  // kernels::ActiveKernels().
  static Result<std::shared_ptr<const LoadedModel>> Create(
      artifact::Model model, const kernels::KernelTable* kernels = nullptr);
  ~LoadedModel();

  const artifact::Model& model() const;
  int64_t input_elements() const;  // of one sample
  int64_t output_elements() const;
  // Bytes of the arena of a session for that batch and those threads.
  size_t ArenaBytes(int64_t batch, int threads = 1) const;
  // Name of the kernels that it was prepared for: "scalar", "avx2", "avx512vnni".
  std::string_view kernel_path() const;
  const kernels::KernelTable& kernels() const;

  struct Impl;  // of the sources of this folder alone
  const Impl& impl() const { return *impl_; }

 private:
  explicit LoadedModel(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class Session {
 public:
  // Called after every layer (and for the input), on the caller's thread, with the tensor's index
  // and its stored bytes for the whole batch; the span lives for the call.
  using Tap = std::function<void(int32_t tensor, std::span<const uint8_t> bytes)>;

  // `threads` of the session, the caller's included, share the work of one call: the least latency.
  // Several sessions of one thread have the best throughput. kResourceExhausted when the arena of
  // `max_batch` would exceed `arena_limit_bytes`.
  static Result<std::unique_ptr<Session>> Create(std::shared_ptr<const LoadedModel> model,
                                                 int64_t max_batch = 1,
                                                 size_t arena_limit_bytes = size_t{4} << 30,
                                                 int threads = 1);
  static constexpr int kMaxThreads = 256;
  ~Session();

  const LoadedModel& model() const;
  int64_t max_batch() const;
  int threads() const;

  // Quantizes n samples of float input [n, C, H, W] (NaN becomes the zero point, infinities
  // saturate), runs, and dequantizes to float output [n, ...] in the source network's order.
  // kInvalidArgument for sizes that disagree and n over max_batch.
  Status Run(int64_t n, std::span<const float> input, std::span<float> output, const Tap& tap = {});

  // The same with the quantized bytes themselves: input in stored order ([n, H, W, C]), output as
  // stored.
  Status RunQuantized(int64_t n, std::span<const uint8_t> input, std::span<uint8_t> output,
                      const Tap& tap = {});

 private:
  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace haq::runtime
