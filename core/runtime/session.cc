#include "core/runtime/session.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "core/runtime/aligned_buffer.h"
#include "core/runtime/edges.h"
#include "core/runtime/memory_plan.h"
#include "core/runtime/step.h"

namespace haq::runtime {

struct LoadedModel::Impl {
  artifact::Model model;
  MemoryPlan plan;
  std::vector<std::unique_ptr<Step>> steps;  // one a layer
  size_t workspace_bytes = 0;                // the largest of the steps'

  const artifact::Tensor& input() const { return model.tensors[model.input]; }
  const artifact::Tensor& output() const { return model.tensors[model.output]; }
};

Result<std::shared_ptr<const LoadedModel>> LoadedModel::Create(artifact::Model model) {
  HAQ_RETURN_IF_ERROR(artifact::Verify(model));
  auto impl = std::make_unique<Impl>();
  impl->model = std::move(model);
  // Steps point into the model, which stays where it is from here on.
  impl->plan = PlanMemory(impl->model);
  for (const artifact::Layer& layer : impl->model.layers) {
    HAQ_ASSIGN_OR_RETURN(std::unique_ptr<Step> step,
                         MakeStep(impl->model, layer, kernels::ActiveKernels()));
    impl->workspace_bytes = std::max(impl->workspace_bytes, AlignUp(step->workspace_bytes()));
    impl->steps.push_back(std::move(step));
  }
  return std::shared_ptr<const LoadedModel>(new LoadedModel(std::move(impl)));
}

LoadedModel::LoadedModel(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LoadedModel::~LoadedModel() = default;

const artifact::Model& LoadedModel::model() const { return impl_->model; }
int64_t LoadedModel::input_elements() const { return impl_->input().ElementCount(); }
int64_t LoadedModel::output_elements() const { return impl_->output().ElementCount(); }

std::string_view LoadedModel::kernel_path() const { return kernels::ActiveKernels().name; }

size_t LoadedModel::ArenaBytes(int64_t batch) const {
  size_t bytes = 0;
  if (batch < 0 ||
      __builtin_mul_overflow(impl_->plan.arena_bytes, static_cast<size_t>(batch), &bytes) ||
      __builtin_add_overflow(bytes, impl_->workspace_bytes, &bytes)) {
    return std::numeric_limits<size_t>::max();
  }
  return bytes;
}

struct Session::Impl {
  std::shared_ptr<const LoadedModel> model;
  int64_t max_batch = 0;
  AlignedBuffer arena;            // the tensors, then the workspace
  std::vector<uint8_t*> tensors;  // into the arena
  uint8_t* workspace = nullptr;

  const LoadedModel::Impl& loaded() const { return model->impl(); }
  Status Check(int64_t n, size_t input, size_t input_wanted, size_t output,
               size_t output_wanted) const;
  void Execute(int64_t n, const Tap& tap);
  void CallTap(const Tap& tap, int32_t tensor, int64_t n) const;
};

Result<std::unique_ptr<Session>> Session::Create(std::shared_ptr<const LoadedModel> model,
                                                 int64_t max_batch, size_t arena_limit_bytes) {
  if (max_batch < 1) return InvalidField("max_batch", "{} is not positive", max_batch);
  const size_t bytes = model->ArenaBytes(max_batch);
  if (bytes > arena_limit_bytes) {
    return ResourceExhausted("a batch of {} needs an arena of {} bytes, the limit is {}", max_batch,
                             bytes, arena_limit_bytes);
  }
  auto impl = std::make_unique<Impl>();
  impl->arena = AllocateAligned(bytes);
  if (!impl->arena) return ResourceExhausted("no memory for an arena of {} bytes", bytes);
  impl->max_batch = max_batch;
  const MemoryPlan& plan = model->impl().plan;
  for (const size_t offset : plan.offsets) {
    impl->tensors.push_back(impl->arena.get() + offset * static_cast<size_t>(max_batch));
  }
  impl->workspace = impl->arena.get() + plan.arena_bytes * static_cast<size_t>(max_batch);
  impl->model = std::move(model);
  return std::unique_ptr<Session>(new Session(std::move(impl)));
}

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;

const LoadedModel& Session::model() const { return *impl_->model; }
int64_t Session::max_batch() const { return impl_->max_batch; }

Status Session::Impl::Check(int64_t n, size_t input, size_t input_wanted, size_t output,
                            size_t output_wanted) const {
  if (n < 1 || n > max_batch) {
    return InvalidField("n", "{} samples, a number in [1, {}] is allowed", n, max_batch);
  }
  // No overflow: the arena of this batch is larger than the product.
  if (input != static_cast<size_t>(n) * input_wanted) {
    return InvalidField("input", "{} values for {} samples of {}", input, n, input_wanted);
  }
  if (output != static_cast<size_t>(n) * output_wanted) {
    return InvalidField("output", "{} values for {} samples of {}", output, n, output_wanted);
  }
  return {};
}

void Session::Impl::CallTap(const Tap& tap, int32_t tensor, int64_t n) const {
  if (!tap) return;
  const size_t bytes = SampleBytes(loaded().model.tensors[tensor]);
  tap(tensor, {tensors[tensor], bytes * static_cast<size_t>(n)});
}

void Session::Impl::Execute(int64_t n, const Tap& tap) {
  const LoadedModel::Impl& model = loaded();
  const Frame frame{n, tensors.data(), workspace};
  CallTap(tap, model.model.input, n);
  for (size_t i = 0; i < model.steps.size(); ++i) {
    model.steps[i]->Run(frame);
    CallTap(tap, model.model.layers[i].output, n);
  }
}

Status Session::Run(int64_t n, std::span<const float> input, std::span<float> output,
                    const Tap& tap) {
  const auto input_count = static_cast<size_t>(impl_->model->input_elements());
  const auto output_count = static_cast<size_t>(impl_->model->output_elements());
  HAQ_RETURN_IF_ERROR(impl_->Check(n, input.size(), input_count, output.size(), output_count));
  const LoadedModel::Impl& model = impl_->loaded();
  uint8_t* stored_input = impl_->tensors[model.model.input];
  for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
    QuantizeSample(model.input(), input.subspan(i * input_count, input_count),
                   {stored_input + i * input_count, input_count});
  }
  impl_->Execute(n, tap);
  const uint8_t* stored_output = impl_->tensors[model.model.output];
  const size_t output_bytes = SampleBytes(model.output());
  for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
    DequantizeSample(model.output(), {stored_output + i * output_bytes, output_bytes},
                     output.subspan(i * output_count, output_count));
  }
  return {};
}

Status Session::RunQuantized(int64_t n, std::span<const uint8_t> input, std::span<uint8_t> output,
                             const Tap& tap) {
  const LoadedModel::Impl& model = impl_->loaded();
  HAQ_RETURN_IF_ERROR(impl_->Check(n, input.size(), SampleBytes(model.input()), output.size(),
                                   SampleBytes(model.output())));
  std::memcpy(impl_->tensors[model.model.input], input.data(), input.size());
  impl_->Execute(n, tap);
  std::memcpy(output.data(), impl_->tensors[model.model.output], output.size());
  return {};
}

}  // namespace haq::runtime
