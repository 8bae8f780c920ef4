// Little-endian writing and bounded reading of the project's own binary states (checkpoints,
// observers).
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "core/base/status.h"

namespace haq {

static_assert(std::endian::native == std::endian::little, "the files are little-endian");

class ByteWriter {
 public:
  template <typename T>
  requires std::is_arithmetic_v<T>
  void Write(T value) {
    const size_t at = bytes_.size();
    bytes_.resize(at + sizeof(T));
    std::memcpy(bytes_.data() + at, &value, sizeof(T));
  }
  // Length, then the bytes.
  void WriteBytes(std::span<const uint8_t> bytes) {
    Write<uint64_t>(bytes.size());
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  void WriteString(std::string_view text) {
    WriteBytes({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  }
  const std::vector<uint8_t>& bytes() const { return bytes_; }
  std::vector<uint8_t> Take() { return std::move(bytes_); }

 private:
  std::vector<uint8_t> bytes_;
};

// Reads what ByteWriter wrote. A read past the end sets failed() and yields zeros and empty
// strings, so that a caller checks once, before it uses what it read.
class ByteReader {
 public:
  explicit ByteReader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  template <typename T>
  requires std::is_arithmetic_v<T> T Read() {
    T value{};
    if (const auto from = Take(sizeof(T)); !from.empty())
      std::memcpy(&value, from.data(), sizeof(T));
    return value;
  }
  std::span<const uint8_t> ReadBytes() { return Take(Read<uint64_t>()); }
  std::string ReadString() {
    const auto bytes = ReadBytes();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  bool failed() const { return failed_; }
  bool AtEnd() const { return bytes_.empty(); }

 private:
  std::span<const uint8_t> Take(uint64_t count) {
    if (failed_ || count > bytes_.size()) {
      failed_ = true;
      return {};
    }
    const auto taken = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return taken;
  }

  std::span<const uint8_t> bytes_;
  bool failed_ = false;
};

}  // namespace haq
