// Memory whose end is the end of a page that nothing is mapped behind: reading or writing one byte
// too many is a crash.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace haq::test {

class GuardedBuffer {
 public:
  explicit GuardedBuffer(size_t bytes);
  ~GuardedBuffer();
  GuardedBuffer(const GuardedBuffer&) = delete;
  GuardedBuffer& operator=(const GuardedBuffer&) = delete;

  uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  std::span<uint8_t> bytes() const { return {data_, size_}; }

 private:
  uint8_t* mapping_;
  size_t mapping_bytes_;
  uint8_t* data_;
  size_t size_;
};

}  // namespace haq::test
