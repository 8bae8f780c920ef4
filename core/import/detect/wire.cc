#include "core/import/detect/wire.h"

namespace haq::import {

bool WireReader::Varint(uint64_t& value) {
  value = 0;
  for (size_t i = 0; i < rest_.size() && i < 10; ++i) {
    value |= uint64_t{rest_[i] & 0x7fu} << (7 * i);
    if (rest_[i] >= 0x80) continue;
    rest_ = rest_.subspan(i + 1);
    return true;
  }
  return false;
}

bool WireReader::Fixed(size_t size, uint64_t& value) {
  if (rest_.size() < size) return false;
  value = 0;
  for (size_t i = 0; i < size; ++i) value |= uint64_t{rest_[i]} << (8 * i);
  rest_ = rest_.subspan(size);
  return true;
}

bool WireReader::Read(WireField& field) {
  uint64_t tag = 0;
  if (!Varint(tag) || tag >> 32 != 0 || tag >> 3 == 0) return false;
  field.number = static_cast<uint32_t>(tag >> 3);
  switch (tag & 7) {
    case 0:
      field.type = WireField::Type::kVarint;
      return Varint(field.value);
    case 1:
      field.type = WireField::Type::kFixed64;
      return Fixed(8, field.value);
    case 2:
      field.type = WireField::Type::kBytes;
      if (!Varint(field.value) || field.value > rest_.size()) return false;
      field.bytes = rest_.first(field.value);
      rest_ = rest_.subspan(field.value);
      return true;
    case 5:
      field.type = WireField::Type::kFixed32;
      return Fixed(4, field.value);
    default:
      return false;
  }
}

bool WireReader::Next(WireField& field) {
  if (damaged_ || rest_.empty()) return false;
  field = {};
  damaged_ = !Read(field);
  return !damaged_;
}

}  // namespace haq::import
