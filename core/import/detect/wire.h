// Reading protobuf's wire format without a schema: what has to be known of an ONNX file before
// anybody unpacks it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace haq::import {

struct WireField {
  enum class Type { kVarint, kFixed64, kBytes, kFixed32 };
  uint32_t number = 0;
  Type type = Type::kVarint;
  uint64_t value = 0;              // of the first two and the last
  std::span<const uint8_t> bytes;  // of kBytes
  std::string_view text() const {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};

// The fields of one message, in the order of the file. Survives any bytes; allocates nothing.
class WireReader {
 public:
  explicit WireReader(std::span<const uint8_t> bytes) : rest_(bytes) {}

  // False at the end of the message, and at the first damage.
  bool Next(WireField& field);
  // Bytes that are no message: a length beyond the end, a group, a field 0.
  bool damaged() const { return damaged_; }

 private:
  bool Varint(uint64_t& value);
  bool Fixed(size_t size, uint64_t& value);
  bool Read(WireField& field);

  std::span<const uint8_t> rest_;
  bool damaged_ = false;
};

}  // namespace haq::import
