// The FP32 pass that feeds the observers: one observer for every value of a graph.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/byte_io.h"
#include "core/base/status.h"
#include "core/calib/observer.h"
#include "core/float_exec/executor.h"
#include "core/ir/graph.h"

namespace haq::calib {

class Calibrator {
 public:
  // `graph` must outlive the calibrator. `method` must have passed CheckMethod.
  Calibrator(const ir::Graph& graph, std::string_view method);

  // Runs n samples [n, ...] and observes every value. The order of the calls and their sizes do not
  // change the result of methods that do not say so.
  Status ObserveBatch(float_exec::Executor& executor, int64_t n, std::span<const float> input);
  int64_t images() const { return images_; }

  void Save(ByteWriter& writer) const;
  Status Restore(ByteReader& reader);

  // One range per value of the graph. Errors name the value.
  Result<std::vector<quant::Range>> ChooseRanges() const;

 private:
  const ir::Graph& graph_;
  std::vector<std::unique_ptr<Observer>> observers_;  // by value
  std::vector<float> output_;
  int64_t images_ = 0;
};

}  // namespace haq::calib
