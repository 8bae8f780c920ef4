#include "core/float_exec/tensor_memory.h"

#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>

#include <map>
#include <mutex>
#include <unordered_map>

namespace haq::float_exec {

namespace {

// Smaller blocks are not worth it: malloc keeps those itself.
constexpr size_t kLeastBytes = 64 << 10;

class KeepingAllocator : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) const override {
    void* const block = self().Take(bytes);
    return {block, block, &Release, c10::Device(c10::DeviceType::CPU)};
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
    for (const auto& [size, block] : free_) c10::free_cpu(block);
    free_.clear();
  }

 private:
  void* Take(size_t bytes) {
    if (bytes < kLeastBytes) return c10::alloc_cpu(bytes);
    const std::lock_guard lock(mutex_);
    // The smallest that fits, unless most of it would lie idle.
    const auto fit = free_.lower_bound(bytes);
    if (fit != free_.end() && fit->first / 2 <= bytes) {
      void* const block = fit->second;
      used_.emplace(block, fit->first);
      free_.erase(fit);
      return block;
    }
    void* const block = c10::alloc_cpu(bytes);
    used_.emplace(block, bytes);
    return block;
  }

  static void Release(void* block) { self().Return(block); }

  void Return(void* block) {
    {
      const std::lock_guard lock(mutex_);
      // Others than ours are small, or older than this allocator.
      const auto used = used_.find(block);
      if (used != used_.end()) {
        const size_t bytes = used->second;
        used_.erase(used);
        if (users_ > 0) {
          free_.emplace(bytes, block);
          return;
        }
      }
    }
    c10::free_cpu(block);
  }

  std::mutex mutex_;
  // Guarded by mutex_.
  int users_ = 0;
  std::unordered_map<void*, size_t> used_;  // blocks of at least kLeastBytes, and their sizes
  std::multimap<size_t, void*> free_;       // the same ones after their death, by size
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
