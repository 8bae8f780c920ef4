// The FP32 pass that feeds the summaries: one for every value of a graph that is worth one.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/byte_io.h"
#include "core/base/status.h"
#include "core/calib/observer.h"
#include "core/calib/tensor_summary.h"
#include "core/float_exec/executor.h"
#include "core/ir/graph.h"

namespace haq::calib {

// For every value, the value whose distribution decides its range. Usually itself, but
//  - a value that nobody reads but a clamp or a max pooling is judged by what comes out: what these
//    leave out of it does not exist for the network;
//  - reshaped, permuted and zero-padded values are judged by what they are made of.
std::vector<ir::ValueId> DecidingValues(const ir::Graph& graph);

// How many images the FP32 network is run on at a time: always the same number for an input size,
// because FP32 kernels may round differently for another number of images. (Their results do not
// depend on the number of threads, nor an image's on its place in the batch or on its neighbours.)
// Enough to keep the cores busy, few enough for the cache.
int64_t MicroBatchImages(int64_t input_elements);

class Calibrator {
 public:
  // `graph` must outlive the calibrator. `method` must have passed CheckMethod; it is what
  // ChooseRanges uses when not told otherwise, and does not change what is observed.
  Calibrator(const ir::Graph& graph, std::string_view method);

  // Runs n samples [n, ...] and observes every value. The sizes of the calls do not change the
  // result, nor does their order but for moving_minmax. An n that is a multiple of MicroBatchImages
  // is fastest: what is missing to one is run on zeros, and not observed. kInvalidArgument names
  // the first value, in order of execution, that is NaN or infinite somewhere, and its layer.
  Status ObserveBatch(float_exec::Executor& executor, int64_t n, std::span<const float> input);
  int64_t images() const { return images_; }

  // Makes this the calibrator of both streams of images, those of `later` after its own.
  // kInvalidArgument for one of another network.
  Status Merge(const Calibrator& later);

  void Save(ByteWriter& writer) const;
  // kDataLoss where the bytes are damaged or of another network; this state is then unspecified.
  Status Restore(ByteReader& reader);

  // One range per value of the graph. Errors name the value.
  Result<std::vector<quant::Range>> ChooseRanges(const ChoiceContext& context = {}) const;
  Result<std::vector<quant::Range>> ChooseRanges(std::string_view method,
                                                 const ChoiceContext& context) const;

  // The summary that decides the range of `value`.
  const TensorSummary& SummaryOf(ir::ValueId value) const { return summaries_[deciding_[value]]; }

 private:
  Status CheckFinite() const;
  Status ObserveMicroBatch(float_exec::Executor& executor, int64_t n, std::span<const float> input);

  const ir::Graph& graph_;
  const std::string method_;
  const std::vector<ir::ValueId> deciding_;    // by value
  float_exec::Executor::ObserverNeeds needs_;  // needs_.values: decides some value's range
  std::vector<TensorSummary> summaries_;       // by value, empty for those not observed
  ObserveScratch scratch_;
  std::vector<float> padded_, output_;
  int64_t images_ = 0;
};

}  // namespace haq::calib
