#include "core/pipeline/speed.h"

#include <functional>
#include <memory>

#include "core/float_exec/executor.h"
#include "core/import/detect/detect.h"
#include "core/import/torchscript/runner.h"
#include "core/pipeline/timing.h"
#include "core/runtime/session.h"

namespace haq::pipeline {
namespace {

// LibTorch specializes a module in its first runs.
constexpr int kWarmUp = 4;

// Null where LibTorch has no way to run the model by itself.
std::unique_ptr<import::TorchScriptRunner> RunnerOf(std::span<const uint8_t> submitted,
                                                    const artifact::Model& artifact,
                                                    std::span<const float> sample) {
  const auto format = import::DetectFormat(submitted);
  if (!format.ok() || *format != import::ModelFormat::kTorchScript) return nullptr;
  auto runner = import::TorchScriptRunner::Create(submitted, artifact.input_shape);
  if (!runner.ok() || !(*runner)->Run(sample).ok()) return nullptr;
  return *std::move(runner);
}

}  // namespace

Result<Speed> MeasureSpeed(std::span<const uint8_t> submitted, const ir::Graph& graph,
                           const artifact::Model& artifact, std::span<const float> sample) {
  HAQ_ASSIGN_OR_RETURN(const auto loaded, runtime::LoadedModel::Create(artifact));
  HAQ_ASSIGN_OR_RETURN(const auto session, runtime::Session::Create(loaded));
  std::vector<float> output(loaded->output_elements());
  const auto torchscript = RunnerOf(submitted, artifact, sample);
  std::unique_ptr<float_exec::Executor> executor;
  if (torchscript == nullptr) {
    HAQ_ASSIGN_OR_RETURN(executor, float_exec::Executor::Create(graph, 1));
  }
  const std::function<Status()> runs[] = {
      [&] { return session->Run(1, sample, output); },
      [&] { return torchscript ? torchscript->Run(sample) : executor->Run(1, sample, output); }};
  HAQ_ASSIGN_OR_RETURN(const Times times, TimeInTurn(runs, kWarmUp));
  return Speed{times.median_ms[0], times.median_ms[1], times.rounds,
               torchscript ? "torchscript" : "graph", std::string(loaded->kernel_path())};
}

}  // namespace haq::pipeline
