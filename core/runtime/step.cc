#include "core/runtime/step.h"

#include "core/runtime/aligned_buffer.h"
#include "core/runtime/memory_plan.h"

namespace haq::runtime {
namespace {

using artifact::Layer;
using artifact::Model;
using artifact::Tensor;
using kernels::KernelTable;

class ConvStep : public Step {
 public:
  static Result<std::unique_ptr<Step>> Make(const Model& model, const Layer& layer,
                                            const artifact::Conv2d& op, const MemoryPlan& plan,
                                            const KernelTable& kernels) {
    auto step = std::unique_ptr<ConvStep>(new ConvStep(model, layer, op, plan, kernels));
    const size_t bytes = step->kernel_.packed_bytes(step->shape_);
    step->packed_ = AllocateAligned(bytes);
    if (!step->packed_) return ResourceExhausted("no memory for {} bytes of weights", bytes);
    step->kernel_.pack(step->shape_, op.weight.data(), op.channels.data(), step->packed_.get());
    return std::unique_ptr<Step>(std::move(step));
  }
  size_t workspace_bytes() const override { return kernel_.workspace_bytes(shape_); }
  void Run(const Frame& frame) const override {
    frame.ForSamples([&](int64_t i, kernels::Part part) {
      const kernels::Residual residual{has_residual_ ? operands_.Input(frame, i, 1) : nullptr,
                                       residual_};
      kernel_.run(shape_, requantize_, residual, packed_.get(), operands_.Input(frame, i),
                  operands_.Output(frame, i), frame.workspace, part);
    });
  }

 private:
  ConvStep(const Model& model, const Layer& layer, const artifact::Conv2d& op,
           const MemoryPlan& plan, const KernelTable& kernels)
      : operands_(model, layer, plan),
        requantize_(op.requantize),
        has_residual_(layer.inputs.size() == 2) {
    const Tensor& in = model.tensors[layer.inputs[0]];
    if (has_residual_) {
      const int32_t zero_point = model.tensors[layer.inputs[1]].zero_point;
      residual_ = {op.residual_multiplier, static_cast<uint8_t>(zero_point)};
    }
    FillWindow(op, in, model.tensors[layer.output], shape_);
    shape_.groups = op.groups;
    shape_.out_stride = static_cast<int32_t>(plan.places[layer.output].pixel_bytes);
    shape_.input_zero = static_cast<uint8_t>(in.zero_point);
    const bool depthwise = op.groups == shape_.in_c && op.groups == shape_.out_c;
    kernel_ = depthwise ? kernels.depthwise : kernels.conv;
  }

  Operands operands_;
  kernels::ConvShape shape_;
  kernels::ConvKernel kernel_;
  fixedpoint::TensorRequantize requantize_;
  bool has_residual_;
  fixedpoint::ResidualRequantize residual_;
  AlignedBuffer packed_;
};

class LinearStep : public Step {
 public:
  static Result<std::unique_ptr<Step>> Make(const Model& model, const Layer& layer,
                                            const artifact::Linear& op,
                                            const KernelTable& kernels) {
    auto step = std::unique_ptr<LinearStep>(new LinearStep(model, layer, op, kernels));
    const size_t bytes = step->kernel_.packed_bytes(step->shape_);
    step->packed_ = AllocateAligned(bytes);
    if (!step->packed_) return ResourceExhausted("no memory for {} bytes of weights", bytes);
    step->kernel_.pack(step->shape_, op.channels.data(), step->packed_.get());
    return std::unique_ptr<Step>(std::move(step));
  }
  size_t workspace_bytes() const override { return kernel_.workspace_bytes(shape_); }
  void Run(const Frame& frame) const override {
    kernel_.run(shape_, requantize_, packed_.get(), weight_, frame.batch, operands_.Input(frame, 0),
                operands_.Output(frame, 0), frame.workspace, frame.part);
  }

 private:
  LinearStep(const Model& model, const Layer& layer, const artifact::Linear& op,
             const KernelTable& kernels)
      : operands_(model, layer),
        kernel_(kernels.linear),
        requantize_(op.requantize),
        weight_(op.weight.data()) {
    shape_.inputs = static_cast<int32_t>(model.tensors[layer.inputs[0]].ElementCount());
    shape_.outputs = static_cast<int32_t>(model.tensors[layer.output].ElementCount());
  }

  Operands operands_;
  kernels::LinearShape shape_;
  kernels::LinearKernel kernel_;
  fixedpoint::TensorRequantize requantize_;
  const int8_t* weight_;
  AlignedBuffer packed_;
};

class AddStep : public Step {
 public:
  AddStep(const Model& model, const Layer& layer, const artifact::Add& op,
          const KernelTable& kernels)
      : operands_(model, layer),
        shape_(PairOf(model, layer)),
        requantize_(op.requantize),
        run_(kernels.add) {}
  void Run(const Frame& frame) const override {
    frame.ForSamples([&](int64_t i, kernels::Part part) {
      const kernels::Range rows = kernels::PartOf(shape_.rows, part);
      const int64_t first = rows.begin * shape_.columns;
      run_({rows.size(), shape_.columns, shape_.b_row_stride}, requantize_,
           operands_.Input(frame, i, 0) + first,
           operands_.Input(frame, i, 1) + rows.begin * shape_.b_row_stride,
           operands_.Output(frame, i) + first);
    });
  }

 private:
  Operands operands_;
  kernels::PairShape shape_;
  fixedpoint::AddRequantize requantize_;
  decltype(KernelTable::add) run_;
};

class MulStep : public Step {
 public:
  MulStep(const Model& model, const Layer& layer, const artifact::Mul& op,
          const KernelTable& kernels)
      : operands_(model, layer),
        shape_(PairOf(model, layer)),
        zero_a_(static_cast<uint8_t>(model.tensors[layer.inputs[0]].zero_point)),
        zero_b_(static_cast<uint8_t>(model.tensors[layer.inputs[1]].zero_point)),
        op_(op),
        run_(kernels.mul) {}
  void Run(const Frame& frame) const override {
    frame.ForSamples([&](int64_t i, kernels::Part part) {
      const kernels::Range rows = kernels::PartOf(shape_.rows, part);
      const int64_t first = rows.begin * shape_.columns;
      run_({rows.size(), shape_.columns, shape_.b_row_stride}, zero_a_, zero_b_, op_.requantize,
           op_.channel, operands_.Input(frame, i, 0) + first,
           operands_.Input(frame, i, 1) + rows.begin * shape_.b_row_stride,
           operands_.Output(frame, i) + first);
    });
  }

 private:
  Operands operands_;
  kernels::PairShape shape_;
  uint8_t zero_a_, zero_b_;
  artifact::Mul op_;
  decltype(KernelTable::mul) run_;
};

class TableStep : public Step {
 public:
  TableStep(const Model& model, const Layer& layer, const artifact::Table& op,
            const KernelTable& kernels)
      : operands_(model, layer), table_(op.table), run_(kernels.table) {}
  void Run(const Frame& frame) const override {
    const kernels::Range bytes = kernels::PartOf(frame.batch * operands_.output_bytes, frame.part);
    run_(bytes.size(), table_.data(), operands_.Input(frame, 0) + bytes.begin,
         operands_.Output(frame, 0) + bytes.begin);
  }

 private:
  Operands operands_;
  std::array<uint8_t, 256> table_;
  decltype(KernelTable::table) run_;
};

class MaxPoolStep : public Step {
 public:
  MaxPoolStep(const Model& model, const Layer& layer, const artifact::MaxPool2d& op,
              const KernelTable& kernels)
      : operands_(model, layer), run_(kernels.max_pool) {
    FillWindow(op, model.tensors[layer.inputs[0]], model.tensors[layer.output], shape_);
  }
  void Run(const Frame& frame) const override {
    frame.ForSamples([&](int64_t i, kernels::Part part) {
      run_(shape_, operands_.Input(frame, i), operands_.Output(frame, i), frame.workspace, part);
    });
  }
  size_t workspace_bytes() const override {
    return sizeof(const uint8_t*) * shape_.kernel_h * shape_.kernel_w;
  }

 private:
  Operands operands_;
  kernels::WindowShape shape_;
  decltype(KernelTable::max_pool) run_;
};

class AvgPoolStep : public Step {
 public:
  AvgPoolStep(const Model& model, const Layer& layer, const artifact::AvgPool2d& op,
              const KernelTable& kernels)
      : operands_(model, layer), requantize_(op.requantize), run_(kernels.avg_pool) {
    const Tensor& in = model.tensors[layer.inputs[0]];
    FillPoolWindows(op, in, model.tensors[layer.output], shape_);
    shape_.input_zero = static_cast<uint8_t>(in.zero_point);
    shape_.by_count = op.by_count.data();
  }
  size_t workspace_bytes() const override { return sizeof(int32_t) * shape_.channels; }
  void Run(const Frame& frame) const override {
    frame.ForWholeSamples([&](int64_t i) {
      run_(shape_, requantize_, operands_.Input(frame, i), operands_.Output(frame, i),
           frame.workspace);
    });
  }

 private:
  Operands operands_;
  kernels::AvgPoolShape shape_;
  fixedpoint::TensorRequantize requantize_;
  decltype(KernelTable::avg_pool) run_;
};

class SoftmaxStep : public Step {
 public:
  SoftmaxStep(const Model& model, const Layer& layer, const artifact::Softmax& op,
              const KernelTable& kernels)
      : operands_(model, layer),
        length_(model.tensors[layer.inputs[0]].shape.back()),
        table_(op.table.data()),
        run_(kernels.softmax) {}
  void Run(const Frame& frame) const override {
    const kernels::Range rows =
        kernels::PartOf(frame.batch * operands_.input_bytes[0] / length_, frame.part);
    // Tensors start at multiples of 64 bytes.
    run_(rows.size(), length_, table_, operands_.Input(frame, 0) + rows.begin * length_,
         reinterpret_cast<uint16_t*>(operands_.Output(frame, 0)) + rows.begin * length_);
  }

 private:
  Operands operands_;
  int64_t length_;
  const uint32_t* table_;
  decltype(KernelTable::softmax) run_;
};

struct Maker {
  const Model& model;
  const Layer& layer;
  const MemoryPlan& plan;
  const KernelTable& kernels;

  using Made = Result<std::unique_ptr<Step>>;
  Made operator()(const artifact::Conv2d& op) const {
    return ConvStep::Make(model, layer, op, plan, kernels);
  }
  Made operator()(const artifact::Linear& op) const {
    return LinearStep::Make(model, layer, op, kernels);
  }
  Made operator()(const artifact::Add& op) const { return Simple<AddStep>(op); }
  Made operator()(const artifact::Mul& op) const { return Simple<MulStep>(op); }
  Made operator()(const artifact::Table& op) const { return Simple<TableStep>(op); }
  Made operator()(const artifact::MaxPool2d& op) const {
    return IsWide() ? MakeWideStep(model, layer, kernels) : Simple<MaxPoolStep>(op);
  }
  Made operator()(const artifact::AvgPool2d& op) const { return Simple<AvgPoolStep>(op); }
  Made operator()(const artifact::Softmax& op) const { return Simple<SoftmaxStep>(op); }
  Made operator()(const artifact::Concat&) const {
    return MakeMoveStep(model, layer, plan, kernels);
  }
  Made operator()(const artifact::Pad&) const {
    return IsWide() ? MakeWideStep(model, layer, kernels)
                    : MakeMoveStep(model, layer, plan, kernels);
  }
  Made operator()(const artifact::Slice&) const {
    return MakeMoveStep(model, layer, plan, kernels);
  }
  Made operator()(const artifact::Transpose&) const {
    return MakeMoveStep(model, layer, plan, kernels);
  }
  Made operator()(const artifact::Reshape&) const {
    return MakeMoveStep(model, layer, plan, kernels);
  }

  Made operator()(const artifact::WideConv2d&) const { return MakeWideStep(model, layer, kernels); }
  Made operator()(const artifact::WideLinear&) const { return MakeWideStep(model, layer, kernels); }
  Made operator()(const artifact::WideAdd&) const { return MakeWideStep(model, layer, kernels); }
  Made operator()(const artifact::WideAvgPool2d&) const {
    return MakeWideStep(model, layer, kernels);
  }

  bool IsWide() const { return model.tensors[layer.output].type == artifact::DataType::kUint16; }
  template <typename Concrete, typename Op>
  Made Simple(const Op& op) const {
    return std::unique_ptr<Step>(std::make_unique<Concrete>(model, layer, op, kernels));
  }
};

}  // namespace

void FillWindow(const artifact::Window& window, const Tensor& in, const Tensor& out,
                kernels::WindowShape& shape) {
  shape.in_h = in.shape[0], shape.in_w = in.shape[1], shape.in_c = in.shape[2];
  shape.out_h = out.shape[0], shape.out_w = out.shape[1], shape.out_c = out.shape[2];
  shape.kernel_h = window.kernel_h, shape.kernel_w = window.kernel_w;
  shape.stride_h = window.stride_h, shape.stride_w = window.stride_w;
  shape.dilation_h = window.dilation_h, shape.dilation_w = window.dilation_w;
  shape.pad_top = window.padding.top, shape.pad_left = window.padding.left;
}

kernels::PairShape PairOf(const Model& model, const Layer& layer) {
  const Tensor &a = model.tensors[layer.inputs[0]], &b = model.tensors[layer.inputs[1]];
  const int64_t columns = a.shape.back();
  return {a.ElementCount() / columns, columns, a.shape == b.shape ? columns : 0};
}

Operands::Operands(const Model& model, const Layer& layer)
    : inputs(&layer.inputs),
      output(layer.output),
      output_bytes(static_cast<int64_t>(SampleBytes(model.tensors[layer.output]))),
      output_sample_bytes(output_bytes) {
  for (const int32_t input : layer.inputs) {
    input_bytes.push_back(static_cast<int64_t>(SampleBytes(model.tensors[input])));
  }
}

Operands::Operands(const Model& model, const Layer& layer, const MemoryPlan& plan)
    : Operands(model, layer) {
  output_sample_bytes = static_cast<int64_t>(plan.places[layer.output].sample_bytes);
}

Result<std::unique_ptr<Step>> MakeStep(const Model& model, const Layer& layer,
                                       const MemoryPlan& plan, const KernelTable& kernels) {
  return std::visit(Maker{model, layer, plan, kernels}, layer.op);
}

}  // namespace haq::runtime
