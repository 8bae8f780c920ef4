#include "core/kernels/kernels.h"
#include "core/kernels/ref/portable.h"

namespace haq::kernels {

const KernelTable& ReferenceKernels() {
  static constexpr KernelTable kTable{
      "ref",
      {&ref::ConvPackedBytes, &ref::ConvPack, &ref::ConvWorkspaceBytes, &ref::ConvRun},
      {&ref::DepthwisePackedBytes, &ref::DepthwisePack, &ref::DepthwiseWorkspaceBytes,
       &ref::DepthwiseRun},
      {&ref::LinearPackedBytes, &ref::LinearPack, &ref::LinearWorkspaceBytes, &ref::LinearRun},
      &ref::Add,
      &ref::Mul,
      &ref::Table,
      &ref::MaxPool,
      &ref::AvgPool,
      &ref::Softmax,
      &ref::CopyRows,
      &ref::Pad,
      &ref::Slice,
      &ref::Transpose,
  };
  return kTable;
}

const KernelTable& ActiveKernels() { return ReferenceKernels(); }

}  // namespace haq::kernels
