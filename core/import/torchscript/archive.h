// The zip container around a TorchScript model, looked at before LibTorch is let near it, so that
// what is no model gets a clean answer. Knows nothing of LibTorch.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/status.h"

namespace haq::import {

struct ZipEntry {
  std::string name;
  uint64_t compressed_bytes = 0, uncompressed_bytes = 0;
  bool compressed = false;
};

// The central directory of a zip archive (zip64 included). kInvalidArgument: no zip archive,
// truncated, or an entry that does not lie inside `bytes`.
Result<std::vector<ZipEntry>> ReadZipDirectory(std::span<const uint8_t> bytes);

// OK for an archive as torch.jit.save writes it. kInvalidArgument: no zip, truncated, a zip that is
// something else (a saved state_dict, say), or entries that would inflate to more than
// kMaxInflatedBytes.
Status CheckTorchScriptArchive(std::span<const uint8_t> bytes);

// torch.jit.save compresses only code; weights are stored as they are.
inline constexpr uint64_t kMaxInflatedBytes = uint64_t{256} << 20;

}  // namespace haq::import
