// A flag that one thread sets and the worker threads of a job look at between steps.
#pragma once

#include <atomic>
#include <memory>

#include "core/base/status.h"

namespace haq {

// Copies share one flag. Thread-safe.
class CancellationToken {
 public:
  CancellationToken() : flag_(std::make_shared<std::atomic<bool>>(false)) {}
  void Cancel() const { flag_->store(true, std::memory_order_relaxed); }
  bool cancelled() const { return flag_->load(std::memory_order_relaxed); }
  // kCancelled once Cancel() was called.
  Status Check() const { return cancelled() ? Cancelled("the job was cancelled") : Status(); }

 private:
  std::shared_ptr<std::atomic<bool>> flag_;
};

}  // namespace haq
