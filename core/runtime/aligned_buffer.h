// Memory aligned to a cache line, which is also the widest vector. For the sources of this folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace haq::runtime {

inline constexpr size_t kAlignment = 64;

constexpr size_t AlignUp(size_t bytes) { return (bytes + kAlignment - 1) & ~(kAlignment - 1); }

struct AlignedDelete {
  void operator()(uint8_t* bytes) const {
    ::operator delete[](bytes, std::align_val_t{kAlignment});
  }
};
using AlignedBuffer = std::unique_ptr<uint8_t[], AlignedDelete>;

// Content is not initialized. Null when there is not so much memory.
inline AlignedBuffer AllocateAligned(size_t bytes) {
  return AlignedBuffer(
      static_cast<uint8_t*>(::operator new[](bytes, std::align_val_t{kAlignment}, std::nothrow)));
}

}  // namespace haq::runtime
