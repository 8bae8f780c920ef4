#include "core/runtime/session.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "core/runtime/aligned_buffer.h"
#include "core/runtime/edges.h"
#include "core/runtime/memory_plan.h"
#include "core/runtime/step.h"
#include "core/runtime/team.h"

namespace haq::runtime {

struct LoadedModel::Impl {
  artifact::Model model;
  MemoryPlan plan;
  std::vector<std::unique_ptr<Step>> steps;  // one a layer
  size_t workspace_bytes = 0;                // of one thread: the largest of the steps'
  const kernels::KernelTable* kernels = nullptr;
  int64_t samples_at_a_time = 1;  // of a larger batch

  const artifact::Tensor& input() const { return model.tensors[model.input]; }
  const artifact::Tensor& output() const { return model.tensors[model.output]; }
};

namespace {

size_t WeightBytes(const artifact::Model& model) {
  size_t bytes = 0;
  for (const artifact::Layer& layer : model.layers) {
    std::visit(
        [&](const auto& op) {
          if constexpr (requires { op.weight; }) bytes += op.weight.size();
        },
        layer.op);
  }
  return bytes;
}

}  // namespace

Result<std::string_view> KernelPath() {
  HAQ_ASSIGN_OR_RETURN(const kernels::KernelTable* kernels, kernels::ActiveKernels());
  return std::string_view(kernels->name);
}

Result<std::shared_ptr<const LoadedModel>> LoadedModel::Create(
    artifact::Model model, const kernels::KernelTable* kernels) {
  HAQ_RETURN_IF_ERROR(artifact::Verify(model));
  if (kernels == nullptr) {
    HAQ_ASSIGN_OR_RETURN(kernels, kernels::ActiveKernels());
  }
  auto impl = std::make_unique<Impl>();
  impl->kernels = kernels;
  impl->model = std::move(model);
  // Steps point into the model, which stays where it is from here on.
  impl->plan = PlanMemory(impl->model);
  for (const artifact::Layer& layer : impl->model.layers) {
    HAQ_ASSIGN_OR_RETURN(std::unique_ptr<Step> step,
                         MakeStep(impl->model, layer, impl->plan, *kernels));
    impl->workspace_bytes = std::max(impl->workspace_bytes, AlignUp(step->workspace_bytes()));
    impl->steps.push_back(std::move(step));
  }
  // Samples that run together share the reading of the weights, and push each other's activations
  // out of the cache: they may take as much memory as the weights do.
  impl->samples_at_a_time = std::max<int64_t>(
      1,
      static_cast<int64_t>(WeightBytes(impl->model) / std::max<size_t>(impl->plan.arena_bytes, 1)));
  // The steps have their own copy of most weights, in the kernels' order.
  if (impl->model.file) impl->model.file->ReleasePages();
  return std::shared_ptr<const LoadedModel>(new LoadedModel(std::move(impl)));
}

LoadedModel::LoadedModel(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LoadedModel::~LoadedModel() = default;

const artifact::Model& LoadedModel::model() const { return impl_->model; }
int64_t LoadedModel::input_elements() const { return impl_->input().ElementCount(); }
int64_t LoadedModel::output_elements() const { return impl_->output().ElementCount(); }

std::string_view LoadedModel::kernel_path() const { return impl_->kernels->name; }

const kernels::KernelTable& LoadedModel::kernels() const { return *impl_->kernels; }

size_t LoadedModel::ArenaBytes(int64_t batch, int threads) const {
  size_t bytes = 0, workspaces = 0;
  if (batch < 0 || threads < 1 ||
      __builtin_mul_overflow(impl_->plan.arena_bytes, static_cast<size_t>(batch), &bytes) ||
      __builtin_mul_overflow(impl_->workspace_bytes, static_cast<size_t>(threads), &workspaces) ||
      __builtin_add_overflow(bytes, workspaces, &bytes)) {
    return std::numeric_limits<size_t>::max();
  }
  return bytes;
}

struct Session::Impl {
  explicit Impl(int threads) : team(threads) {}

  std::shared_ptr<const LoadedModel> model;
  int64_t max_batch = 0;
  AlignedBuffer arena;            // the tensors, then the workspaces of the threads
  std::vector<uint8_t*> tensors;  // into the arena
  uint8_t* workspaces = nullptr;
  Team team;

  const LoadedModel::Impl& loaded() const { return model->impl(); }
  Status Check(int64_t n, size_t input, size_t input_wanted, size_t output,
               size_t output_wanted) const;
  // One run: either real values or levels go in and come out.
  struct Call {
    Impl* impl;
    int64_t n;
    const Tap* tap;
    const float* real_input = nullptr;
    float* real_output = nullptr;
  };
  static void RunThread(void* call, int thread);
  void RunSteps(const Call& call, const Frame& frame);
  void CallTap(const Tap& tap, int32_t tensor, int64_t n) const;
};

Result<std::unique_ptr<Session>> Session::Create(std::shared_ptr<const LoadedModel> model,
                                                 int64_t max_batch, size_t arena_limit_bytes,
                                                 int threads) {
  if (max_batch < 1) return InvalidField("max_batch", "{} is not positive", max_batch);
  if (threads < 1 || threads > kMaxThreads) {
    return InvalidField("threads", "{}, a number in [1, {}] is allowed", threads, kMaxThreads);
  }
  const size_t bytes = model->ArenaBytes(max_batch, threads);
  if (bytes > arena_limit_bytes) {
    return ResourceExhausted("a batch of {} needs an arena of {} bytes, the limit is {}", max_batch,
                             bytes, arena_limit_bytes);
  }
  auto impl = std::make_unique<Impl>(threads);
  impl->arena = AllocateAligned(bytes);
  if (!impl->arena) return ResourceExhausted("no memory for an arena of {} bytes", bytes);
  impl->max_batch = max_batch;
  const MemoryPlan& plan = model->impl().plan;
  for (const Place& place : plan.places) {
    impl->tensors.push_back(place.Find(impl->arena.get(), max_batch));
  }
  impl->workspaces = impl->arena.get() + plan.arena_bytes * static_cast<size_t>(max_batch);
  impl->model = std::move(model);
  return std::unique_ptr<Session>(new Session(std::move(impl)));
}

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;

const LoadedModel& Session::model() const { return *impl_->model; }
int64_t Session::max_batch() const { return impl_->max_batch; }
int Session::threads() const { return impl_->team.threads(); }

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

// A tensor inside a concatenation is gathered first.
void Session::Impl::CallTap(const Tap& tap, int32_t tensor, int64_t n) const {
  const size_t bytes = SampleBytes(loaded().model.tensors[tensor]) * static_cast<size_t>(n);
  const Place& place = loaded().plan.places[tensor];
  if (place.pixel_bytes == 0) return tap(tensor, {tensors[tensor], bytes});
  const auto channels = static_cast<size_t>(loaded().model.tensors[tensor].shape.back());
  std::vector<uint8_t> gathered(bytes);
  for (size_t pixel = 0; pixel < bytes / channels; ++pixel) {
    std::memcpy(gathered.data() + pixel * channels, tensors[tensor] + pixel * place.pixel_bytes,
                channels);
  }
  tap(tensor, gathered);
}

// The layers one after the other; every thread has its part of each.
void Session::Impl::RunSteps(const Call& call, const Frame& frame) {
  const LoadedModel::Impl& model = loaded();
  const bool taps = *call.tap && frame.part.index == 0;
  if (taps) CallTap(*call.tap, model.model.input, call.n);
  for (size_t i = 0; i < model.steps.size(); ++i) {
    model.steps[i]->Run(frame);
    team.Barrier();
    if (!*call.tap) continue;
    if (taps) CallTap(*call.tap, model.model.layers[i].output, call.n);
    team.Barrier();  // nobody overwrites what the tap reads
  }
}

void Session::Impl::RunThread(void* context, int thread) {
  const Call& call = *static_cast<const Call*>(context);
  Impl& impl = *call.impl;
  const LoadedModel::Impl& model = impl.loaded();
  const Frame frame{call.n,
                    impl.tensors.data(),
                    impl.workspaces + static_cast<size_t>(thread) * model.workspace_bytes,
                    {thread, impl.team.threads()}};
  if (call.real_input != nullptr) {
    const int64_t count = model.input().ElementCount();
    const auto bytes = static_cast<int64_t>(SampleBytes(model.input()));
    frame.ForSamples([&](int64_t i, kernels::Part part) {
      QuantizeSample(model.input(), *model.kernels, call.real_input + i * count,
                     impl.tensors[model.model.input] + i * bytes, part);
    });
    impl.team.Barrier();
  }
  impl.RunSteps(call, frame);
  if (call.real_output == nullptr) return;
  const int64_t count = model.output().ElementCount();
  const size_t bytes = SampleBytes(model.output());
  frame.ForWholeSamples([&](int64_t i) {
    DequantizeSample(model.output(),
                     {impl.tensors[model.model.output] + static_cast<size_t>(i) * bytes, bytes},
                     {call.real_output + i * count, static_cast<size_t>(count)});
  });
}

Status Session::Run(int64_t n, std::span<const float> input, std::span<float> output,
                    const Tap& tap) {
  const auto input_count = static_cast<size_t>(impl_->model->input_elements());
  const auto output_count = static_cast<size_t>(impl_->model->output_elements());
  HAQ_RETURN_IF_ERROR(impl_->Check(n, input.size(), input_count, output.size(), output_count));
  // A tap sees the whole batch.
  const int64_t together = tap ? n : impl_->loaded().samples_at_a_time;
  for (int64_t at = 0; at < n; at += together) {
    Impl::Call call{impl_.get(), std::min(together, n - at), &tap,
                    input.data() + static_cast<size_t>(at) * input_count,
                    output.data() + static_cast<size_t>(at) * output_count};
    impl_->team.Run(&Impl::RunThread, &call);
  }
  return {};
}

Status Session::RunQuantized(int64_t n, std::span<const uint8_t> input, std::span<uint8_t> output,
                             const Tap& tap) {
  const LoadedModel::Impl& model = impl_->loaded();
  HAQ_RETURN_IF_ERROR(impl_->Check(n, input.size(), SampleBytes(model.input()), output.size(),
                                   SampleBytes(model.output())));
  std::memcpy(impl_->tensors[model.model.input], input.data(), input.size());
  Impl::Call call{impl_.get(), n, &tap};
  impl_->team.Run(&Impl::RunThread, &call);
  std::memcpy(output.data(), impl_->tensors[model.model.output], output.size());
  return {};
}

}  // namespace haq::runtime
