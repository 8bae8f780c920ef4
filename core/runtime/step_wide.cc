// Steps between tensors of 8 and 16 bits.
#include "core/kernels/wide.h"
#include "core/runtime/aligned_buffer.h"
#include "core/runtime/step.h"

namespace haq::runtime {
namespace {

using artifact::Layer;
using artifact::Model;
using artifact::Tensor;
using kernels::wide::In;
using kernels::wide::Out;

bool IsWide(const Tensor& tensor) { return tensor.type == artifact::DataType::kUint16; }

// The operands' levels at their width.
class WideOperands {
 public:
  WideOperands(const Model& model, const Layer& layer)
      : operands_(model, layer), output_is_wide_(IsWide(model.tensors[layer.output])) {
    for (const int32_t input : layer.inputs) inputs_wide_.push_back(IsWide(model.tensors[input]));
  }
  In Input(const Frame& frame, int64_t sample, size_t i = 0) const {
    return {operands_.Input(frame, sample, i), inputs_wide_[i]};
  }
  Out Output(const Frame& frame, int64_t sample) const {
    return {operands_.Output(frame, sample), output_is_wide_};
  }

 private:
  Operands operands_;
  bool output_is_wide_;
  std::vector<bool> inputs_wide_;
};

class WideConvStep : public Step {
 public:
  WideConvStep(const Model& model, const Layer& layer, const artifact::WideConv2d& op,
               const kernels::KernelTable& kernels)
      : kernels_(kernels),
        operands_(model, layer),
        channels_(op.channels.data()),
        output_{model.tensors[layer.output].zero_point, op.q_min},
        has_residual_(layer.inputs.size() == 2) {
    const Tensor& in = model.tensors[layer.inputs[0]];
    if (has_residual_) {
      residual_ = {op.residual_multiplier, model.tensors[layer.inputs[1]].zero_point};
    }
    FillWindow(op, in, model.tensors[layer.output], shape_);
    shape_.groups = op.groups;
    shape_.input_zero = in.zero_point;
    depthwise_ = op.groups == shape_.in_c && op.groups == shape_.out_c;
  }
  Status Pack(const int8_t* weight) {
    namespace wide = kernels::wide;
    const size_t bytes =
        depthwise_ ? wide::DepthwisePackedBytes(shape_) : wide::ConvPackedBytes(shape_);
    packed_ = AllocateAligned(bytes);
    if (!packed_) return ResourceExhausted("no memory for {} bytes of weights", bytes);
    (depthwise_ ? wide::DepthwisePack : wide::ConvPack)(shape_, weight, packed_.get());
    return {};
  }
  size_t workspace_bytes() const override {
    return depthwise_ ? kernels::wide::DepthwiseWorkspaceBytes(shape_)
                      : kernels::wide::ConvWorkspaceBytes(shape_);
  }
  void Run(const Frame& frame) const override {
    const auto run = depthwise_ ? &kernels::wide::DepthwiseRun : &kernels::wide::ConvRun;
    frame.ForSamples([&](int64_t i, kernels::Part part) {
      kernels::wide::Residual residual;
      if (has_residual_) residual = {operands_.Input(frame, i, 1), residual_};
      run(kernels_, shape_, channels_, output_, residual, packed_.get(), operands_.Input(frame, i),
          operands_.Output(frame, i), frame.workspace, part);
    });
  }

 private:
  const kernels::KernelTable& kernels_;
  WideOperands operands_;
  kernels::wide::ConvShape shape_;
  bool depthwise_;
  const fixedpoint::WideChannel* channels_;
  fixedpoint::WideOutput output_;
  bool has_residual_;
  fixedpoint::WideResidual residual_;
  AlignedBuffer packed_;
};

class WideLinearStep : public Step {
 public:
  WideLinearStep(const Model& model, const Layer& layer, const artifact::WideLinear& op,
                 const kernels::KernelTable& kernels)
      : kernels_(kernels),
        operands_(model, layer),
        channels_(op.channels.data()),
        output_{model.tensors[layer.output].zero_point, op.q_min},
        weight_(op.weight.data()) {
    shape_.inputs = static_cast<int32_t>(model.tensors[layer.inputs[0]].ElementCount());
    shape_.outputs = static_cast<int32_t>(model.tensors[layer.output].ElementCount());
  }
  size_t workspace_bytes() const override { return kernels::wide::LinearWorkspaceBytes(shape_); }
  void Run(const Frame& frame) const override {
    kernels::wide::LinearRun(kernels_, shape_, channels_, output_, weight_, frame.batch,
                             operands_.Input(frame, 0), operands_.Output(frame, 0), frame.workspace,
                             frame.part);
  }

 private:
  const kernels::KernelTable& kernels_;
  WideOperands operands_;
  kernels::LinearShape shape_;
  const fixedpoint::WideChannel* channels_;
  fixedpoint::WideOutput output_;
  const int8_t* weight_;
};

class WideAddStep : public Step {
 public:
  WideAddStep(const Model& model, const Layer& layer, const artifact::WideAdd& op)
      : operands_(model, layer), shape_(PairOf(model, layer)), requantize_(op.requantize) {}
  void Run(const Frame& frame) const override {
    frame.ForWholeSamples([&](int64_t i) {
      kernels::wide::Add(shape_, requantize_, operands_.Input(frame, i, 0),
                         operands_.Input(frame, i, 1), operands_.Output(frame, i));
    });
  }

 private:
  WideOperands operands_;
  kernels::PairShape shape_;
  fixedpoint::WideAddRequantize requantize_;
};

class WideAvgPoolStep : public Step {
 public:
  WideAvgPoolStep(const Model& model, const Layer& layer, const artifact::WideAvgPool2d& op)
      : operands_(model, layer), output_{model.tensors[layer.output].zero_point, op.q_min} {
    const Tensor& in = model.tensors[layer.inputs[0]];
    FillPoolWindows(op, in, model.tensors[layer.output], shape_);
    shape_.input_zero = in.zero_point;
    shape_.by_count = op.by_count.data();
  }
  size_t workspace_bytes() const override { return sizeof(int64_t) * shape_.channels; }
  void Run(const Frame& frame) const override {
    frame.ForWholeSamples([&](int64_t i) {
      kernels::wide::AvgPool(shape_, output_, operands_.Input(frame, i), operands_.Output(frame, i),
                             frame.workspace);
    });
  }

 private:
  WideOperands operands_;
  kernels::wide::AvgPoolShape shape_;
  fixedpoint::WideOutput output_;
};

class WideMaxPoolStep : public Step {
 public:
  WideMaxPoolStep(const Model& model, const Layer& layer, const artifact::MaxPool2d& op)
      : operands_(model, layer) {
    FillWindow(op, model.tensors[layer.inputs[0]], model.tensors[layer.output], shape_);
  }
  void Run(const Frame& frame) const override {
    frame.ForWholeSamples([&](int64_t i) {
      kernels::wide::MaxPool(shape_, operands_.Input(frame, i).words(),
                             operands_.Output(frame, i).words());
    });
  }

 private:
  WideOperands operands_;
  kernels::WindowShape shape_;
};

class WidePadStep : public Step {
 public:
  WidePadStep(const Model& model, const Layer& layer, const artifact::Pad& op)
      : operands_(model, layer), op_(op) {
    const std::vector<int32_t>& shape = model.tensors[layer.inputs[0]].shape;
    dims_.rank = static_cast<int32_t>(shape.size());
    std::copy(shape.begin(), shape.end(), dims_.size);
  }
  void Run(const Frame& frame) const override {
    frame.ForWholeSamples([&](int64_t i) {
      kernels::wide::Pad(dims_, op_.before.data(), op_.after.data(), op_.value,
                         operands_.Input(frame, i).words(), operands_.Output(frame, i).words());
    });
  }

 private:
  WideOperands operands_;
  kernels::Dims dims_;
  artifact::Pad op_;
};

struct Maker {
  const Model& model;
  const Layer& layer;
  const kernels::KernelTable& kernels;

  using Made = Result<std::unique_ptr<Step>>;
  Made operator()(const artifact::WideConv2d& op) const {
    auto step = std::make_unique<WideConvStep>(model, layer, op, kernels);
    HAQ_RETURN_IF_ERROR(step->Pack(op.weight.data()));
    return std::unique_ptr<Step>(std::move(step));
  }
  Made operator()(const artifact::WideLinear& op) const {
    return std::unique_ptr<Step>(std::make_unique<WideLinearStep>(model, layer, op, kernels));
  }
  Made operator()(const artifact::WideAdd& op) const { return Simple<WideAddStep>(op); }
  Made operator()(const artifact::WideAvgPool2d& op) const { return Simple<WideAvgPoolStep>(op); }
  Made operator()(const artifact::MaxPool2d& op) const { return Simple<WideMaxPoolStep>(op); }
  Made operator()(const artifact::Pad& op) const { return Simple<WidePadStep>(op); }
  template <typename Op>
  Made operator()(const Op&) const {
    return InternalError("{} has no wide step", artifact::OpName(layer.op));
  }

  template <typename Concrete, typename Op>
  Made Simple(const Op& op) const {
    return std::unique_ptr<Step>(std::make_unique<Concrete>(model, layer, op));
  }
};

}  // namespace

Result<std::unique_ptr<Step>> MakeWideStep(const Model& model, const Layer& layer,
                                           const kernels::KernelTable& kernels) {
  return std::visit(Maker{model, layer, kernels}, layer.op);
}

}  // namespace haq::runtime
