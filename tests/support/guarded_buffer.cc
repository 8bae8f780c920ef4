#include "tests/support/guarded_buffer.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace haq::test {

GuardedBuffer::GuardedBuffer(size_t bytes) : size_(bytes) {
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t usable = (bytes + page - 1) / page * page;
  mapping_bytes_ = usable + page;
  void* mapping =
      ::mmap(nullptr, mapping_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) {
    std::perror("mmap");
    std::abort();
  }
  mapping_ = static_cast<uint8_t*>(mapping);
  if (::mprotect(mapping_ + usable, page, PROT_NONE) != 0) {
    std::perror("mprotect");
    std::abort();
  }
  data_ = mapping_ + usable - bytes;
}

GuardedBuffer::~GuardedBuffer() { ::munmap(mapping_, mapping_bytes_); }

}  // namespace haq::test
