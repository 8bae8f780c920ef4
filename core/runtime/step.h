// One layer, ready to run: geometry worked out, weights in the order of the kernels. For the
// sources of this folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/artifact/model.h"
#include "core/base/status.h"
#include "core/kernels/kernels.h"
#include "core/runtime/memory_plan.h"

namespace haq::runtime {

// What a step may touch during one run, on one of the threads that run it.
struct Frame {
  int64_t batch = 0;                  // samples, consecutive in every tensor
  uint8_t* const* tensors = nullptr;  // by index, each of `batch` samples
  uint8_t* workspace = nullptr;       // 64-byte aligned, of this thread
  kernels::Part part;                 // of this thread

  // Calls body(sample, part) for this thread's share: whole samples as long as every thread gets
  // one, a part of each of the rest.
  template <typename Body>
  void ForSamples(const Body& body) const {
    const int64_t whole = batch / part.count;
    for (int64_t i = 0; i < whole; ++i) body(part.index * whole + i, kernels::Part{});
    for (int64_t i = whole * part.count; i < batch; ++i) body(i, part);
  }
  // The same for work that has no parts.
  template <typename Body>
  void ForWholeSamples(const Body& body) const {
    const kernels::Range samples = kernels::PartOf(batch, part);
    for (int64_t i = samples.begin; i < samples.end; ++i) body(i);
  }
};

// Immutable, shared by all sessions. Run allocates nothing. Every thread of a session calls it with
// its part of the same frame; it writes that part of the output and nothing else but the workspace.
class Step {
 public:
  virtual ~Step() = default;
  virtual size_t workspace_bytes() const { return 0; }
  virtual void Run(const Frame& frame) const = 0;
};

// The model has been verified and outlives the step. kResourceExhausted when there is no memory for
// the weights.
Result<std::unique_ptr<Step>> MakeStep(const artifact::Model& model, const artifact::Layer& layer,
                                       const MemoryPlan& plan, const kernels::KernelTable& kernels);

// The tensors of a layer, seen from a step. Steps copy it.
struct Operands {
  Operands(const artifact::Model& model, const artifact::Layer& layer);
  // With an output that may lie inside a concatenation.
  Operands(const artifact::Model& model, const artifact::Layer& layer, const MemoryPlan& plan);

  const uint8_t* Input(const Frame& frame, int64_t sample, size_t i = 0) const {
    return frame.tensors[(*inputs)[i]] + sample * input_bytes[i];
  }
  uint8_t* Output(const Frame& frame, int64_t sample) const {
    return frame.tensors[output] + sample * output_sample_bytes;
  }

  const std::vector<int32_t>* inputs;  // of the layer
  std::vector<int64_t> input_bytes;    // of one sample
  int32_t output;
  int64_t output_bytes;         // of one sample
  int64_t output_sample_bytes;  // from one sample to the next
};

// Those that move bytes without arithmetic: Concat, Pad, Slice, Transpose, Reshape.
std::unique_ptr<Step> MakeMoveStep(const artifact::Model& model, const artifact::Layer& layer,
                                   const MemoryPlan& plan, const kernels::KernelTable& kernels);

// Sizes shared by everything that slides a window.
void FillWindow(const artifact::Window& window, const artifact::Tensor& in,
                const artifact::Tensor& out, kernels::WindowShape& shape);
// b has a's shape, or one value a channel that serves every row.
kernels::PairShape PairOf(const artifact::Model& model, const artifact::Layer& layer);
// Everything but the zero point and the requantization, which have two widths.
template <typename Shape>
void FillPoolWindows(const artifact::PoolWindows& windows, const artifact::Tensor& in,
                     const artifact::Tensor& out, Shape& shape) {
  shape.in_h = in.shape[0], shape.in_w = in.shape[1], shape.channels = in.shape[2];
  shape.out_h = out.shape[0], shape.out_w = out.shape[1];
  shape.row_begin = windows.row_begin.data(), shape.row_end = windows.row_end.data();
  shape.column_begin = windows.column_begin.data(), shape.column_end = windows.column_end.data();
  shape.counts = windows.counts.empty() ? nullptr : windows.counts.data();
  shape.counts_size = static_cast<int32_t>(windows.counts.size());
}

// Those of core/kernels/wide.h: the wide operators, and MaxPool2d and Pad of 16-bit tensors.
// kResourceExhausted when there is no memory for the weights.
Result<std::unique_ptr<Step>> MakeWideStep(const artifact::Model& model,
                                           const artifact::Layer& layer,
                                           const kernels::KernelTable& kernels);

}  // namespace haq::runtime
