// Steps that move bytes without arithmetic.
#include <algorithm>

#include "core/runtime/step.h"

namespace haq::runtime {
namespace {

using artifact::Layer;
using artifact::Model;
using kernels::KernelTable;

// Of bytes: 16-bit elements have a last dimension of two.
kernels::Dims DimsOf(const artifact::Tensor& tensor) {
  kernels::Dims dims;
  dims.rank = static_cast<int32_t>(tensor.shape.size());
  std::copy(tensor.shape.begin(), tensor.shape.end(), dims.size);
  if (tensor.type == artifact::DataType::kUint16) dims.size[dims.rank++] = 2;
  return dims;
}

class ConcatStep : public Step {
 public:
  ConcatStep(const Model& model, const Layer& layer, const artifact::Concat& op,
             const MemoryPlan& plan, const KernelTable& kernels)
      : operands_(model, layer), run_(kernels.copy_rows) {
    for (const int32_t input : layer.inputs)
      in_place_.push_back(plan.places[input].pixel_bytes != 0);
    const std::vector<int32_t>& shape = model.tensors[layer.output].shape;
    for (int32_t i = 0; i < op.axis; ++i) rows_ *= shape[i];
  }
  void Run(const Frame& frame) const override {
    const int64_t out_row = operands_.output_bytes / rows_;
    // Samples are rows too.
    const kernels::Range rows = kernels::PartOf(frame.batch * rows_, frame.part);
    int64_t start = 0;
    for (size_t i = 0; i < operands_.input_bytes.size(); ++i) {
      const int64_t in_row = operands_.input_bytes[i] / rows_;
      if (!in_place_[i]) {
        run_(rows.size(), in_row, out_row, operands_.Input(frame, 0, i) + rows.begin * in_row,
             operands_.Output(frame, 0) + rows.begin * out_row + start);
      }
      start += in_row;
    }
  }

 private:
  Operands operands_;
  std::vector<bool> in_place_;  // inputs that were written into the output
  int64_t rows_ = 1;
  decltype(KernelTable::copy_rows) run_;
};

class PadStep : public Step {
 public:
  PadStep(const Model& model, const Layer& layer, const artifact::Pad& op,
          const KernelTable& kernels)
      : operands_(model, layer),
        dims_(DimsOf(model.tensors[layer.inputs[0]])),
        op_(op),
        run_(kernels.pad) {}
  void Run(const Frame& frame) const override {
    frame.ForWholeSamples([&](int64_t i) {
      run_(dims_, op_.before.data(), op_.after.data(), static_cast<uint8_t>(op_.value),
           operands_.Input(frame, i), operands_.Output(frame, i));
    });
  }

 private:
  Operands operands_;
  kernels::Dims dims_;
  artifact::Pad op_;
  decltype(KernelTable::pad) run_;
};

class SliceStep : public Step {
 public:
  SliceStep(const Model& model, const Layer& layer, const artifact::Slice& op,
            const KernelTable& kernels)
      : operands_(model, layer),
        dims_(DimsOf(model.tensors[layer.inputs[0]])),
        op_(op),
        count_(model.tensors[layer.output].shape[op.axis]),
        run_(kernels.slice) {}
  void Run(const Frame& frame) const override {
    frame.ForWholeSamples([&](int64_t i) {
      run_(dims_, op_.axis, op_.start, op_.step, count_, operands_.Input(frame, i),
           operands_.Output(frame, i));
    });
  }

 private:
  Operands operands_;
  kernels::Dims dims_;
  artifact::Slice op_;
  int32_t count_;
  decltype(KernelTable::slice) run_;
};

class TransposeStep : public Step {
 public:
  TransposeStep(const Model& model, const Layer& layer, const artifact::Transpose& op,
                const KernelTable& kernels)
      : operands_(model, layer),
        dims_(DimsOf(model.tensors[layer.inputs[0]])),
        order_(op.order),
        run_(kernels.transpose) {
    if (static_cast<int32_t>(order_.size()) < dims_.rank) order_.push_back(dims_.rank - 1);
  }
  void Run(const Frame& frame) const override {
    frame.ForWholeSamples([&](int64_t i) {
      run_(dims_, order_.data(), operands_.Input(frame, i), operands_.Output(frame, i));
    });
  }

 private:
  Operands operands_;
  kernels::Dims dims_;
  std::vector<int32_t> order_;
  decltype(KernelTable::transpose) run_;
};

// The memory plan gives both sides the same bytes.
class ReshapeStep : public Step {
 public:
  void Run(const Frame&) const override {}
};

}  // namespace

std::unique_ptr<Step> MakeMoveStep(const Model& model, const Layer& layer, const MemoryPlan& plan,
                                   const KernelTable& kernels) {
  if (const auto* concat = std::get_if<artifact::Concat>(&layer.op)) {
    return std::make_unique<ConcatStep>(model, layer, *concat, plan, kernels);
  }
  if (const auto* pad = std::get_if<artifact::Pad>(&layer.op)) {
    return std::make_unique<PadStep>(model, layer, *pad, kernels);
  }
  if (const auto* slice = std::get_if<artifact::Slice>(&layer.op)) {
    return std::make_unique<SliceStep>(model, layer, *slice, kernels);
  }
  if (const auto* transpose = std::get_if<artifact::Transpose>(&layer.op)) {
    return std::make_unique<TransposeStep>(model, layer, *transpose, kernels);
  }
  return std::make_unique<ReshapeStep>();
}

}  // namespace haq::runtime
