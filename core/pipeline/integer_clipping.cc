#include "core/pipeline/integer_clipping.h"

#include "core/lower/bounds.h"

namespace haq::pipeline {

IntegerClipping::IntegerClipping(const ir::Graph& graph, const lower::Lowered& lowered)
    : lowered_(lowered) {
  for (const lower::ClippedTensor& tensor : lower::ClippedTensors(graph, lowered)) {
    tensors_.push_back({tensor.tensor, tensor.low, tensor.high, 0});
  }
}

Status IntegerClipping::Prepare(ThreadPool& pool) {
  HAQ_ASSIGN_OR_RETURN(runner_, IntegerRunner::Create(lowered_.model, pool, /*self_test=*/false));
  counter_.emplace(runner_->loaded(), tensors_);
  counts_.assign(pool.threads(), std::vector<int64_t>(tensors_.size()));
  for (std::vector<int64_t>& counts : counts_) taps_.push_back(counter_->TapInto(counts));
  return {};
}

Status IntegerClipping::Add(const Batch& batch) {
  output_.resize(batch.n * runner_->output_elements());
  HAQ_RETURN_IF_ERROR(runner_->Run(batch.n, batch.input, output_, taps_));
  images_ += batch.n;
  return {};
}

artifact::Clipping IntegerClipping::Counts() const {
  artifact::Clipping clipping{images_, tensors_};
  for (const std::vector<int64_t>& counts : counts_) {
    for (size_t i = 0; i < counts.size(); ++i) clipping.tensors[i].clipped += counts[i];
  }
  return clipping;
}

}  // namespace haq::pipeline
