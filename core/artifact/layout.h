// Constants of the file's layout; docs/artifact_format.md. For the sources of this folder.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "core/fixedpoint/requantize.h"

namespace haq::artifact::internal {

// A text file's line ends, an old terminal's end of file and a first byte over 127: a transfer that
// is not 8-bit clean breaks it (after PNG's signature).
inline constexpr std::array<uint8_t, 8> kMagic = {0x89, 'H', 'A', 'Q', '\r', '\n', 0x1a, '\n'};
inline constexpr uint32_t kVersion = 4;
inline constexpr size_t kAlignment = 64;  // of the structure, the blobs section and every blob
inline constexpr size_t kHeaderBytes = 64;
inline constexpr size_t kVersionAt = 8, kReservedAt = 12, kFileBytesAt = 16, kStructureBytesAt = 24,
                        kDigestAt = 32, kDigestBytes = 32;

constexpr uint64_t AlignUp(uint64_t value) {
  return (value + (kAlignment - 1)) & ~uint64_t{kAlignment - 1};
}

// Blobs are used in place, so the file has the memory's layout.
using fixedpoint::ChannelRequantize;
static_assert(std::endian::native == std::endian::little);
static_assert(sizeof(ChannelRequantize) == 8 && offsetof(ChannelRequantize, bias) == 0 &&
              offsetof(ChannelRequantize, multiplier) == 4 &&
              offsetof(ChannelRequantize, shift) == 6 && offsetof(ChannelRequantize, q_max) == 7);

using fixedpoint::WideChannel;
static_assert(sizeof(WideChannel) == 16 && offsetof(WideChannel, bias) == 0 &&
              offsetof(WideChannel, multiplier) == 8 && offsetof(WideChannel, pre_shift) == 12 &&
              offsetof(WideChannel, shift) == 13 && offsetof(WideChannel, q_max) == 14);

}  // namespace haq::artifact::internal
