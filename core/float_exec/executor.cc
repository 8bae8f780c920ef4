#include "core/float_exec/executor.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "core/float_exec/kernels.h"
#include "core/float_exec/parallel.h"
#include "core/float_exec/plain_layout.h"
#include "core/float_exec/tensor_memory.h"

namespace haq::float_exec {

namespace {

std::string Reason(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  std::string message = torch_error ? torch_error->what_without_backtrace() : error.what();
  return message.substr(0, message.find('\n'));
}

std::vector<int64_t> WithBatch(const ir::Shape& shape, int64_t n) {
  std::vector<int64_t> batched = shape;
  batched[0] = n;
  return batched;
}

// A copy in the same memory format after `edit`.
at::Tensor Edited(const at::Tensor& tensor, const Executor::Edit& edit, bool any_order) {
  at::Tensor copy = tensor.clone();
  const bool as_it_is = any_order && copy.is_non_overlapping_and_dense();
  const at::Tensor plain = as_it_is ? copy : PlainLayout(copy);
  edit({plain.data_ptr<float>(), static_cast<size_t>(plain.numel())});
  if (!plain.is_same(copy)) copy.copy_(plain);
  return copy;
}

void CopyElements(const at::Tensor& tensor, std::span<float> to) {
  const at::Tensor plain = PlainLayout(tensor);
  std::memcpy(to.data(), plain.data_ptr<float>(), to.size_bytes());
}

// Nobody else looks at this tensor's memory.
bool IsAlone(const at::Tensor& tensor) {
  return tensor.use_count() == 1 && tensor.storage().use_count() == 1 &&
         tensor.is_non_overlapping_and_dense();
}

}  // namespace

struct Executor::Impl {
  struct Step {
    Kernel kernel;
    std::vector<ir::ValueId> inputs;
    ir::ValueId output;
    std::vector<bool> last_read;  // of inputs[i]: nothing needs it after this step
    bool overwrites;              // the output has the first input's shape
  };

  const ir::Graph& graph;
  int threads;
  const KeptTensorMemory memory = {};
  int64_t input_elements, output_elements;
  std::vector<Step> steps;
  std::vector<at::Tensor> values;  // those alive, during a run
  std::vector<at::Tensor> kept;    // all values of the last RunAndKeep, or empty

  void Prepare();
  void RunSteps(std::string_view& place, const Observer& observe, const ObserverNeeds& needs);
  Status Rerun(std::string_view place, ir::ValueId changed, std::span<float> output,
               const std::function<at::Tensor()>& make) const;
  static void RunStep(const Step& step, std::vector<at::Tensor>& values);
  static void Tell(const Observer& observe, const ObserverNeeds& needs, ir::ValueId value,
                   const at::Tensor& tensor);
};

void Executor::Impl::Prepare() {
  std::vector<int> last(graph.values.size(), -1);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const ir::ValueId input : graph.nodes[i].inputs) last[input] = static_cast<int>(i);
  }
  last[graph.output] = static_cast<int>(graph.nodes.size());
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const ir::Node& node = graph.nodes[i];
    const ir::Shape& in = graph.values[node.inputs[0]].shape;
    const ir::Shape& out = graph.values[node.output].shape;
    Step step{MakeKernel(node.op, in, out), node.inputs, node.output, {}, in == out};
    for (const ir::ValueId input : node.inputs) {
      step.last_read.push_back(last[input] == static_cast<int>(i));
    }
    steps.push_back(std::move(step));
  }
}

void Executor::Impl::RunStep(const Step& step, std::vector<at::Tensor>& values) {
  std::vector<at::Tensor> inputs;
  for (const ir::ValueId input : step.inputs) inputs.push_back(values[input]);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (step.last_read[i]) values[step.inputs[i]] = at::Tensor();
  }
  const bool may_overwrite = step.overwrites && IsAlone(inputs[0]);
  values[step.output] = step.kernel(inputs, may_overwrite);
}

void Executor::Impl::Tell(const Observer& observe, const ObserverNeeds& needs, ir::ValueId value,
                          const at::Tensor& tensor) {
  if (!observe || (!needs.values.empty() && !needs.values[value])) return;
  const bool as_it_is =
      needs.any_order && tensor.dim() == 4 && tensor.is_contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor plain = as_it_is ? tensor : PlainLayout(tensor);
  observe(value, {plain.data_ptr<float>(), static_cast<size_t>(plain.numel())});
}

// `place` says where it is when it throws.
void Executor::Impl::RunSteps(std::string_view& place, const Observer& observe,
                              const ObserverNeeds& needs) {
  for (size_t i = 0; i < steps.size(); ++i) {
    place = graph.nodes[i].name;
    RunStep(steps[i], values);
    const ir::ValueId made = steps[i].output;
    // What is kept has two owners, so that no later step takes its memory.
    if (!kept.empty()) kept[made] = values[made];
    Tell(observe, needs, made, values[made]);
  }
}

Status Executor::Impl::Rerun(std::string_view place, ir::ValueId changed, std::span<float> output,
                             const std::function<at::Tensor()>& make) const {
  if (kept.empty()) return FailedPrecondition("no values were kept to run again from");
  const int64_t n = kept[graph.input].size(0);
  if (output.size() != static_cast<size_t>(n * output_elements)) {
    return InvalidArgument("{} samples need {} output elements each, got {}", n, output_elements,
                           output.size());
  }
  try {
    const c10::InferenceMode inference;
    if (!at::in_parallel_region()) at::set_num_threads(threads);
    std::vector<at::Tensor> own = kept;
    own[changed] = make();
    std::vector<bool> differs(own.size());
    differs[changed] = true;
    for (size_t i = 0; i < steps.size(); ++i) {
      const auto& inputs = steps[i].inputs;
      if (std::none_of(inputs.begin(), inputs.end(), [&](auto in) { return differs[in]; }))
        continue;
      place = graph.nodes[i].name;
      RunStep(steps[i], own);
      differs[steps[i].output] = true;
    }
    CopyElements(own[graph.output], output);
    return {};
  } catch (const std::exception& error) {
    return InternalError("FP32 execution of '{}': {}", place, Reason(error));
  }
}

Executor::Executor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Executor::~Executor() = default;

Result<std::unique_ptr<Executor>> Executor::Create(const ir::Graph& graph, int threads) {
  HAQ_RETURN_IF_ERROR(ir::Verify(graph));
  HAQ_ASSIGN_OR_RETURN(const int64_t input, ir::ElementCount(graph.values[graph.input].shape));
  HAQ_ASSIGN_OR_RETURN(const int64_t output, ir::ElementCount(graph.values[graph.output].shape));
  if (threads <= 0) threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  try {
    const c10::InferenceMode inference;
    auto impl = std::unique_ptr<Impl>(new Impl{graph, threads, {}, input, output, {}, {}, {}});
    impl->Prepare();
    return std::unique_ptr<Executor>(new Executor(std::move(impl)));
  } catch (const std::exception& error) {
    return InternalError("preparing the FP32 network: {}", Reason(error));
  }
}

int Executor::threads() const { return impl_->threads; }

void Executor::ParallelFor(int64_t count, const std::function<void(int64_t i)>& body) const {
  float_exec::ParallelFor(impl_->threads, count, body);
}

Status Executor::Run(int64_t n, std::span<const float> input, std::span<float> output,
                     const Observer& observe, const ObserverNeeds& needs) {
  return RunAll(n, input, output, observe, needs, /*keep=*/false);
}

Status Executor::RunAndKeep(int64_t n, std::span<const float> input, std::span<float> output,
                            const Observer& observe, const ObserverNeeds& needs) {
  return RunAll(n, input, output, observe, needs, /*keep=*/true);
}

Status Executor::RunAll(int64_t n, std::span<const float> input, std::span<float> output,
                        const Observer& observe, const ObserverNeeds& needs, bool keep) {
  Impl& impl = *impl_;
  const ir::Graph& graph = impl.graph;
  Forget();
  if (n < 1 || input.size() != static_cast<size_t>(n * impl.input_elements) ||
      output.size() != static_cast<size_t>(n * impl.output_elements)) {
    return InvalidArgument("{} samples need {} input and {} output elements each, got {} and {}", n,
                           impl.input_elements, impl.output_elements, input.size(), output.size());
  }
  std::string_view place = "the input";
  try {
    const c10::InferenceMode inference;
    at::set_num_threads(impl.threads);
    impl.values.assign(graph.values.size(), at::Tensor());
    // Lives until the end, so that no step takes the caller's memory for its own.
    at::Tensor sample = at::from_blob(const_cast<float*>(input.data()),
                                      WithBatch(graph.values[graph.input].shape, n));
    if (keep) {
      sample = sample.clone();
      impl.kept.assign(graph.values.size(), at::Tensor());
      impl.kept[graph.input] = sample;
    }
    impl.values[graph.input] = sample;
    Impl::Tell(observe, needs, graph.input, sample);
    impl.RunSteps(place, observe, needs);
    CopyElements(impl.values[graph.output], output);
    impl.values.clear();
    return {};
  } catch (const std::exception& error) {
    impl.values.clear();
    Forget();
    return InternalError("FP32 execution of '{}': {}", place, Reason(error));
  }
}

void Executor::Forget() { impl_->kept.clear(); }

Status Executor::RerunWithValue(ir::ValueId value, const Edit& edit, bool any_order,
                                std::span<float> output) const {
  const Impl& impl = *impl_;
  return impl.Rerun(impl.graph.values[value].name, value, output,
                    [&] { return Edited(impl.kept[value], edit, any_order); });
}

Status Executor::RerunWithOp(int node, const ir::Op& op, std::span<float> output) const {
  const Impl& impl = *impl_;
  const ir::Node& changed = impl.graph.nodes[node];
  return impl.Rerun(changed.name, changed.output, output, [&] {
    std::vector<at::Tensor> inputs;
    for (const ir::ValueId input : changed.inputs) inputs.push_back(impl.kept[input]);
    const Kernel kernel = MakeKernel(op, impl.graph.values[changed.inputs[0]].shape,
                                     impl.graph.values[changed.output].shape);
    return kernel(inputs, /*may_overwrite=*/false);
  });
}

}  // namespace haq::float_exec
