#include "core/pipeline/integer_runner.h"

#include "core/runtime/self_test.h"

namespace haq::pipeline {

Result<std::unique_ptr<IntegerRunner>> IntegerRunner::Create(artifact::Model model,
                                                             ThreadPool& pool, bool self_test) {
  HAQ_ASSIGN_OR_RETURN(const auto loaded, runtime::LoadedModel::Create(std::move(model)));
  std::unique_ptr<IntegerRunner> runner(new IntegerRunner(pool));
  runner->loaded_ = loaded;
  for (int thread = 0; thread < pool.threads(); ++thread) {
    HAQ_ASSIGN_OR_RETURN(auto session, runtime::Session::Create(loaded));
    if (self_test) HAQ_RETURN_IF_ERROR(runtime::SelfTest(*session));
    runner->sessions_.push_back(std::move(session));
  }
  return runner;
}

Status IntegerRunner::Run(int64_t n, std::span<const float> input, std::span<float> output,
                          std::span<const runtime::Session::Tap> taps) {
  const int64_t inputs = input_elements(), outputs = output_elements();
  std::vector<Status> failures(n);
  pool_.ParallelFor(n, [&](int64_t i, int thread) {
    failures[i] = sessions_[thread]->Run(1, input.subspan(i * inputs, inputs),
                                         output.subspan(i * outputs, outputs),
                                         taps.empty() ? runtime::Session::Tap() : taps[thread]);
  });
  for (const Status& failure : failures) HAQ_RETURN_IF_ERROR(failure);
  return {};
}

}  // namespace haq::pipeline
