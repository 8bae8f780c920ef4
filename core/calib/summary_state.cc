// Saving and restoring a TensorSummary. Grammar: count, non-finite, zeros (uint64 each), low, high
// (float), the moving average, exponent (int32), occupied cells (bytes): for each, in order of
// their index, the distance from the one before (from -1 for the first) and its count, as LEB128
// numbers.
#include <algorithm>
#include <cmath>
#include <optional>

#include "core/calib/tensor_summary.h"

namespace haq::calib {
namespace {

void AppendNumber(uint64_t number, std::vector<uint8_t>& bytes) {
  for (; number >= 0x80; number >>= 7) bytes.push_back(static_cast<uint8_t>(number | 0x80));
  bytes.push_back(static_cast<uint8_t>(number));
}

std::optional<uint64_t> TakeNumber(std::span<const uint8_t>& bytes) {
  uint64_t number = 0;
  for (int shift = 0; shift < 63; shift += 7) {
    if (bytes.empty()) return std::nullopt;
    const uint8_t byte = bytes.front();
    bytes = bytes.subspan(1);
    number |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return number;
  }
  return std::nullopt;
}

std::vector<uint8_t> PackCells(std::span<const uint64_t> counts) {
  std::vector<uint8_t> bytes;
  int before = -1;
  for (int i = 0; i < static_cast<int>(counts.size()); ++i) {
    if (counts[i] == 0) continue;
    AppendNumber(i - before, bytes);
    AppendNumber(counts[i], bytes);
    before = i;
  }
  return bytes;
}

// False where the bytes are not what PackCells makes, or the counts do not add up to `total`.
bool UnpackCells(std::span<const uint8_t> bytes, uint64_t total, CellCounts& cells) {
  int64_t index = -1;
  while (!bytes.empty()) {
    const auto distance = TakeNumber(bytes), count = TakeNumber(bytes);
    if (!distance || !count || *distance == 0 || *distance > CellGrid::kCells) return false;
    index += static_cast<int64_t>(*distance);
    if (index >= CellGrid::kCells || *count == 0 || *count > total) return false;
    cells.Add(static_cast<int>(index), *count);
    total -= *count;
  }
  return total == 0;
}

// The outermost occupied cells are those of the extremes.
bool Encloses(const CellCounts& cells, float low, float high) {
  const auto last = [&](int from) {
    int index = CellGrid::kSideCells - 1;
    while (index >= 0 && cells.counts()[from + index] == 0) --index;
    return index;
  };
  const auto first = [&](int from) {
    int index = 0;
    while (index < CellGrid::kSideCells && cells.counts()[from + index] == 0) ++index;
    return index;
  };
  constexpr int kNegative = CellGrid::kSideCells;
  const bool any_negative = last(kNegative) >= 0, any_positive = last(0) >= 0;
  const int low_at = any_negative ? kNegative + last(kNegative) : first(0);
  const int high_at = any_positive ? last(0) : kNegative + first(kNegative);
  return cells.grid().IndexOf(low) == low_at && cells.grid().IndexOf(high) == high_at;
}

}  // namespace

void TensorSummary::Save(ByteWriter& writer) const {
  writer.Write(count_);
  writer.Write(not_finite_);
  writer.Write(zeros_);
  writer.Write(low_);
  writer.Write(high_);
  moving_.Save(writer);
  writer.Write<int32_t>(cells_.grid().exponent());
  writer.WriteBytes(PackCells(cells_.counts()));
}

Status TensorSummary::Restore(ByteReader& reader) {
  const Status damaged = DataLoss("the state of an observed tensor is damaged");
  *this = {};
  count_ = reader.Read<uint64_t>();
  not_finite_ = reader.Read<uint64_t>();
  zeros_ = reader.Read<uint64_t>();
  low_ = reader.Read<float>();
  high_ = reader.Read<float>();
  HAQ_RETURN_IF_ERROR(moving_.Restore(reader));
  const auto exponent = reader.Read<int32_t>();
  const std::span<const uint8_t> packed = reader.ReadBytes();
  if (reader.failed() || not_finite_ > count_) return damaged;
  if (count_ == not_finite_) {
    const TensorSummary none;
    const bool empty = zeros_ == 0 && low_ == none.low_ && high_ == none.high_ && packed.empty();
    return empty ? Status() : damaged;
  }
  if (!std::isfinite(low_) || !std::isfinite(high_) || low_ > high_ ||
      exponent != CellGrid::ExponentFor(std::max(std::abs(low_), std::abs(high_)))) {
    return damaged;
  }
  cells_.GrowTo(exponent);
  if (!UnpackCells(packed, count_ - not_finite_, cells_) || zeros_ > cells_.counts()[0] ||
      !Encloses(cells_, low_, high_)) {
    return damaged;
  }
  return {};
}

}  // namespace haq::calib
