// Damaged files: cut at every byte, every bit flipped, with and without a checksum that hides it.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>

#include "core/artifact/file.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/model_builder.h"
#include "tests/support/random_models.h"
#include "tests/support/seed.h"

namespace haq::artifact {
namespace {

// Small enough to flip every bit: a convolution, a pool and a softmax.
std::vector<uint8_t> SmallFile() {
  test::ModelBuilder b({4, 4, 2}, 1);
  int32_t x = b.Conv(b.input(), {.out_channels = 3, .kernel = 3, .padding = 1});
  x = b.AvgPool(x, 3, 2, 1, true);
  return Serialize(b.Finish(b.Reshape(x, {12}))).value();
}

// The same with 16 bits.
std::vector<uint8_t> SmallWideFile() {
  test::ModelBuilder b({4, 4, 2}, 1);
  int32_t x = b.Conv(b.input(), {.out_channels = 3, .kernel = 3, .padding = 1, .wide = true});
  x = b.Add(x, b.AvgPool(x, 4, 1, 0, false));
  return Serialize(b.Finish(b.Linear(x, 2, true))).value();
}

void FixChecksum(std::vector<uint8_t>& bytes) {
  if (bytes.size() < 64) return;
  const Sha256Digest digest = ArtifactDigest(bytes);
  std::memcpy(bytes.data() + 32, digest.data(), digest.size());
}

TEST(Corruption, EveryTruncationIsAnError) {
  const std::vector<uint8_t> bytes = Serialize(test::EveryOperator()).value();
  for (size_t size = 0; size < bytes.size(); ++size) {
    // The end of the bytes is the end of a page: reading further is a crash.
    const test::GuardedBuffer cut(size);
    std::memcpy(cut.data(), bytes.data(), size);
    const auto model = Parse(cut.bytes());
    ASSERT_FALSE(model.ok()) << size;
    ASSERT_EQ(model.status().code(),
              size < 8 ? StatusCode::kInvalidArgument : StatusCode::kDataLoss)
        << size;
  }
}

// The header says the shorter size, and the checksum is right: the structure itself is cut.
TEST(Corruption, EveryTruncationWithFixedHeaderIsAnError) {
  const std::vector<uint8_t> bytes = Serialize(test::EveryOperator()).value();
  for (uint64_t size = 64; size < bytes.size(); ++size) {
    std::vector<uint8_t> cut(bytes.begin(), bytes.begin() + static_cast<int64_t>(size));
    std::memcpy(cut.data() + 16, &size, sizeof(size));
    FixChecksum(cut);
    const test::GuardedBuffer guarded(size);
    std::memcpy(guarded.data(), cut.data(), size);
    ASSERT_FALSE(Parse(guarded.bytes()).ok()) << size;
  }
}

// Likewise, the structure alone is shorter than it should be, or longer.
TEST(Corruption, WrongStructureSizeIsAnError) {
  const std::vector<uint8_t> bytes = SmallFile();
  uint64_t right = 0;
  std::memcpy(&right, bytes.data() + 24, sizeof(right));
  for (uint64_t size = 0; size <= bytes.size(); ++size) {
    if (size == right) continue;
    std::vector<uint8_t> damaged = bytes;
    std::memcpy(damaged.data() + 24, &size, sizeof(size));
    FixChecksum(damaged);
    ASSERT_FALSE(Parse(damaged).ok()) << size;
  }
}

TEST(Corruption, EveryFlippedBitIsAnError) {
  std::vector<uint8_t> bytes = SmallFile();
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      bytes[i] ^= static_cast<uint8_t>(1 << bit);
      const auto model = Parse(bytes);
      ASSERT_FALSE(model.ok()) << "byte " << i << " bit " << bit;
      bytes[i] ^= static_cast<uint8_t>(1 << bit);
    }
  }
}

// With the checksum recomputed the damage reaches the structure. What is accepted is a valid model
// that says exactly what the file says.
void ExpectFlippedBitsDoNoHarm(const std::vector<uint8_t>& original) {
  int accepted = 0, refused = 0;
  for (size_t i = 0; i < original.size(); ++i) {
    if (i >= 32 && i < 64) continue;  // the checksum itself
    for (int bit = 0; bit < 8; ++bit) {
      std::vector<uint8_t> bytes = original;
      bytes[i] ^= static_cast<uint8_t>(1 << bit);
      FixChecksum(bytes);
      const auto model = Parse(bytes);
      ++(model.ok() ? accepted : refused);
      if (!model.ok()) continue;
      ASSERT_EQ(Serialize(*model).value(), bytes) << "byte " << i << " bit " << bit;
    }
  }
  // Names, scales and weights are free; sizes, indices and paddings are not.
  EXPECT_GT(accepted, 100);
  EXPECT_GT(refused, 1000);
}

TEST(Corruption, FlippedBitsBehindAValidChecksumNeverDoHarm) {
  ExpectFlippedBitsDoNoHarm(SmallFile());
  ExpectFlippedBitsDoNoHarm(SmallWideFile());
}

void ExpectRandomDamageDoesNoHarm(const std::vector<uint8_t>& original) {
  uint64_t structure = 0;
  std::memcpy(&structure, original.data() + 24, sizeof(structure));
  std::mt19937_64 random(test::Seed());
  for (int i = 0; i < 3000; ++i) {
    std::vector<uint8_t> bytes = original;
    for (int k = 0; k < 1 + i % 4; ++k) {
      const size_t at = 64 + random() % structure;
      const int kind = static_cast<int>(random() % 3);
      const size_t width = std::min<size_t>(kind == 0 ? 1 : kind == 1 ? 4 : 8, bytes.size() - at);
      const uint64_t values[] = {random(), 0, ~uint64_t{0}, uint64_t{1} << (random() % 64)};
      std::memcpy(bytes.data() + at, &values[random() % 4], width);
    }
    FixChecksum(bytes);
    const auto model = Parse(bytes);
    if (model.ok()) {
      ASSERT_EQ(Serialize(*model).value(), bytes);
    }
  }
}

TEST(Corruption, RandomDamageBehindAValidChecksumNeverDoesHarm) {
  ExpectRandomDamageDoesNoHarm(Serialize(test::EveryOperator()).value());
  ExpectRandomDamageDoesNoHarm(Serialize(test::EveryWideOperator()).value());
}

}  // namespace
}  // namespace haq::artifact
