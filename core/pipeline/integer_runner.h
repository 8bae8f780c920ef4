// Runs a quantized model over batches on all threads: one session a thread, one image at a time, so
// that the bits do not depend on the number of threads. Private to core/pipeline.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "core/artifact/model.h"
#include "core/base/status.h"
#include "core/base/thread_pool.h"
#include "core/runtime/session.h"

namespace haq::pipeline {

class IntegerRunner {
 public:
  // `pool` must outlive the runner.
  static Result<std::unique_ptr<IntegerRunner>> Create(artifact::Model model, ThreadPool& pool,
                                                       bool self_test);

  int64_t input_elements() const { return sessions_[0]->model().input_elements(); }
  int64_t output_elements() const { return sessions_[0]->model().output_elements(); }
  const std::shared_ptr<const runtime::LoadedModel>& loaded() const { return loaded_; }
  runtime::Session& session(int thread) { return *sessions_[thread]; }

  // [n, ...] in, [n, ...] out, as runtime::Session::Run. `taps`: none, or one for each thread.
  Status Run(int64_t n, std::span<const float> input, std::span<float> output,
             std::span<const runtime::Session::Tap> taps = {});

 private:
  explicit IntegerRunner(ThreadPool& pool) : pool_(pool) {}
  ThreadPool& pool_;
  std::shared_ptr<const runtime::LoadedModel> loaded_;
  std::vector<std::unique_ptr<runtime::Session>> sessions_;
};

}  // namespace haq::pipeline
