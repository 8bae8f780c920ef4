// Reading, packing and checking hold one image at a time, however many there are.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "core/data/dataset.h"
#include "tests/unit/core/data/test_data.h"

namespace {

std::atomic<int64_t> live_bytes, peak_bytes;
constexpr size_t kHeader = 16;

void* Allocate(size_t size) {
  auto* block = static_cast<char*>(std::malloc(size + kHeader));
  if (block == nullptr) throw std::bad_alloc();
  std::memcpy(block, &size, sizeof(size));
  const int64_t live = live_bytes += static_cast<int64_t>(size);
  if (live > peak_bytes) peak_bytes = live;
  return block + kHeader;
}

void Free(void* memory) {
  if (memory == nullptr) return;
  char* block = static_cast<char*>(memory) - kHeader;
  size_t size;
  std::memcpy(&size, block, sizeof(size));
  live_bytes -= static_cast<int64_t>(size);
  std::free(block);
}

}  // namespace

void* operator new(size_t size) { return Allocate(size); }
void* operator new[](size_t size) { return Allocate(size); }
void operator delete(void* memory) noexcept { Free(memory); }
void operator delete[](void* memory) noexcept { Free(memory); }
void operator delete(void* memory, size_t) noexcept { Free(memory); }
void operator delete[](void* memory, size_t) noexcept { Free(memory); }

namespace haq::data {
namespace {

class RepeatingReader : public SampleReader {
 public:
  explicit RepeatingReader(int count) : left_(count), png_(*EncodePng(TestImage(64, 64, 3))) {}
  Result<std::optional<Sample>> Next() override {
    if (left_ == 0) return std::optional<Sample>();
    --left_;
    return std::optional(Sample{fmt::format("c/{}.png", left_), png_, left_ % 10});
  }

 private:
  int left_;
  std::vector<uint8_t> png_;
};

class MemoryTest : public FolderFixture {
 protected:
  // The most bytes that were live at once beyond those at the start.
  int64_t PeakOf(int images) {
    RepeatingReader reader(images);
    const int64_t start = live_bytes;
    peak_bytes = start;
    auto shards = PackShards(reader, folder_ / "s");
    EXPECT_TRUE(shards.ok()) << shards.status().ToString();
    EXPECT_EQ(CheckShard((*shards)[0].path)->images, images);
    return peak_bytes - start;
  }
};

TEST_F(MemoryTest, DoesNotGrowWithTheNumberOfImages) {
  PeakOf(5);  // what libraries keep after their first use
  const int64_t few = PeakOf(10), many = PeakOf(1000);
  EXPECT_GT(few, 64 * 64 * 3) << "the counter does not count";
  EXPECT_LT(many, few + 2000);
}

}  // namespace
}  // namespace haq::data
