// Run allocates nothing: every way to the heap is counted while it runs.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "core/runtime/session.h"
#include "tests/support/random_models.h"

namespace {

std::atomic<int64_t> allocations{0};

}  // namespace

extern "C" {
void* __real_malloc(size_t size);
void* __real_calloc(size_t count, size_t size);
void* __real_realloc(void* pointer, size_t size);
void* __wrap_malloc(size_t size) {
  ++allocations;
  return __real_malloc(size);
}
void* __wrap_calloc(size_t count, size_t size) {
  ++allocations;
  return __real_calloc(count, size);
}
void* __wrap_realloc(void* pointer, size_t size) {
  ++allocations;
  return __real_realloc(pointer, size);
}
}

// The other forms of operator new end in these two.
void* operator new(size_t size) {
  ++allocations;
  if (void* pointer = __real_malloc(size == 0 ? 1 : size)) return pointer;
  throw std::bad_alloc();
}
void* operator new(size_t size, std::align_val_t alignment) {
  ++allocations;
  const auto align = static_cast<size_t>(alignment);
  if (void* pointer = std::aligned_alloc(align, (size + align - 1) / align * align)) {
    return pointer;
  }
  throw std::bad_alloc();
}
void operator delete(void* pointer) noexcept { std::free(pointer); }
void operator delete(void* pointer, size_t) noexcept { std::free(pointer); }
void operator delete(void* pointer, std::align_val_t) noexcept { std::free(pointer); }
void operator delete(void* pointer, size_t, std::align_val_t) noexcept { std::free(pointer); }

namespace haq::runtime {
namespace {

void ExpectNoAllocation(artifact::Model model) {
  const int64_t before_create = allocations;
  const auto loaded = LoadedModel::Create(std::move(model)).value();
  const auto session = Session::Create(loaded, 3).value();
  ASSERT_GT(allocations, before_create) << "the counter counts";
  for (const int64_t n : {1, 3}) {
    const std::vector<float> input(n * loaded->input_elements(), 0.3f);
    std::vector<float> output(n * loaded->output_elements());
    const int64_t before = allocations;
    const bool ok = session->Run(n, input, output).ok();
    const int64_t after = allocations;
    EXPECT_TRUE(ok);
    EXPECT_EQ(after - before, 0);
  }
}

TEST(Allocation, RunAllocatesNothing) {
  ExpectNoAllocation(test::EveryOperator());
  ExpectNoAllocation(test::MobileNetV2Like(32, 10));
}

TEST(Allocation, TheCounterCountsEveryWay) {
  int64_t before = allocations;
  void* volatile pointer = std::malloc(10);
  std::free(pointer);
  EXPECT_EQ(allocations - before, 1);
  before = allocations;
  ::operator delete[](::operator new[](100, std::align_val_t{64}, std::nothrow),
                      std::align_val_t{64});
  EXPECT_EQ(allocations - before, 1);
  before = allocations;
  int* volatile array = new int[7];
  delete[] array;
  EXPECT_EQ(allocations - before, 1);
}

}  // namespace
}  // namespace haq::runtime
