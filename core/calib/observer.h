// Observers: constant-memory summaries of a tensor's values over the calibration images, from which
// its range is chosen. Every method of the project is one of these.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/byte_io.h"
#include "core/base/status.h"
#include "core/quant/params.h"

namespace haq::calib {

class Observer {
 public:
  virtual ~Observer() = default;

  // The values of one micro-batch. Non-finite values are counted, not used.
  virtual void Observe(std::span<const float> values) = 0;

  // Makes this the observer of both streams. kInvalidArgument for an observer of another method.
  virtual Status Merge(const Observer& other) = 0;

  // State for checkpoints and shards observed apart; Restore replaces this observer's state.
  virtual void Save(ByteWriter& writer) const = 0;
  virtual Status Restore(ByteReader& reader) = 0;

  // kFailedPrecondition when no value was seen, kInvalidArgument when values were not finite.
  virtual Result<quant::Range> ChooseRange() const = 0;
};

// Names of the methods, the default first.
std::vector<std::string> MethodNames();
// kInvalidArgument on the field "method" lists what exists.
Status CheckMethod(std::string_view method);
// `method` must have passed CheckMethod.
std::unique_ptr<Observer> MakeObserver(std::string_view method);

}  // namespace haq::calib
