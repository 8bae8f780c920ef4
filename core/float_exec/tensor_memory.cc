#include "core/float_exec/tensor_memory.h"

#include <c10/core/CPUAllocator.h>
#include <c10/core/alignment.h>
#include <c10/core/impl/alloc_cpu.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <unordered_map>

namespace haq::float_exec {

namespace {

// Smaller blocks are not worth it: malloc keeps those itself.
constexpr size_t kLeastBytes = 64 << 10;
// Blocks from here on get pages of this size where the system has them: looking up the small ones
// costs a tenth of a network's time.
constexpr size_t kHugePageBytes = 2 << 20;

struct Block {
  void* memory;
  size_t bytes;
};

Block Allocate(size_t bytes) {
  const size_t unit = bytes < kHugePageBytes ? c10::gAlignment : kHugePageBytes;
  const size_t rounded = (bytes + unit - 1) / unit * unit;
  void* const memory = std::aligned_alloc(unit, rounded);
  if (memory == nullptr) throw std::bad_alloc();
  // Advice: what the system makes of it is its own affair.
  if (unit == kHugePageBytes) (void)madvise(memory, rounded, MADV_HUGEPAGE);
  return {memory, rounded};
}

class KeepingAllocator : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) const override {
    void* const memory = self().Take(bytes);
    return {memory, memory, &Release, c10::Device(c10::DeviceType::CPU)};
  }
  // LibTorch allocates oneDNN's memory through this one.
  c10::DeleterFnPtr raw_deleter() const override { return &Release; }

  static KeepingAllocator& self() {
    // Never destroyed: tensors in static variables may die later than anything else.
    static auto* const allocator = new KeepingAllocator();
    return *allocator;
  }

  void AddUser() {
    const std::lock_guard lock(mutex_);
    ++users_;
  }

  void RemoveUser() {
    const std::lock_guard lock(mutex_);
    if (--users_ > 0) return;
    for (const auto& [bytes, memory] : free_) std::free(memory);
    free_.clear();
    free_bytes_ = 0;
    peak_bytes_ = used_bytes_;
  }

 private:
  void* Take(size_t bytes) {
    if (bytes < kLeastBytes) return c10::alloc_cpu(bytes);
    const std::lock_guard lock(mutex_);
    // The smallest that fits, unless most of it would lie idle.
    const auto fit = free_.lower_bound(bytes);
    Block block;
    if (fit != free_.end() && fit->first / 2 <= bytes) {
      block = {fit->second, fit->first};
      free_.erase(fit);
      free_bytes_ -= block.bytes;
    } else {
      block = Allocate(bytes);
    }
    used_.emplace(block.memory, block.bytes);
    used_bytes_ += block.bytes;
    peak_bytes_ = std::max(peak_bytes_, used_bytes_);
    return block.memory;
  }

  static void Release(void* memory) { self().Return(memory); }

  void Return(void* memory) {
    std::unique_lock lock(mutex_);
    const auto used = used_.find(memory);
    if (used == used_.end()) {  // small, or older than this allocator
      lock.unlock();
      c10::free_cpu(memory);
      return;
    }
    const size_t bytes = used->second;
    used_.erase(used);
    used_bytes_ -= bytes;
    if (users_ > 0 && free_bytes_ + bytes <= peak_bytes_) {
      free_.emplace(bytes, memory);
      free_bytes_ += bytes;
    } else {
      std::free(memory);
    }
  }

  std::mutex mutex_;
  // Guarded by mutex_.
  int users_ = 0;
  std::unordered_map<void*, size_t> used_;  // blocks of at least kLeastBytes, and their sizes
  std::multimap<size_t, void*> free_;       // the same ones after their death, by size
  size_t used_bytes_ = 0, free_bytes_ = 0;
  size_t peak_bytes_ = 0;  // of used_bytes_; free_bytes_ stays below
};

}  // namespace

KeptTensorMemory::KeptTensorMemory() {
  static const bool installed = [] {
    c10::SetCPUAllocator(&KeepingAllocator::self());
    return true;
  }();
  (void)installed;
  KeepingAllocator::self().AddUser();
}

KeptTensorMemory::~KeptTensorMemory() { KeepingAllocator::self().RemoveUser(); }

}  // namespace haq::float_exec
