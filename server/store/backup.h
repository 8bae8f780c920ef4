// A copy of a data folder that fits together, made while a server uses it.
#pragma once

#include <cstdint>
#include <filesystem>

#include "core/base/status.h"

namespace haq::server::store {

struct BackupResult {
  int64_t blobs = 0;       // that the copy has
  int64_t blob_bytes = 0;  // their size
  int64_t new_blobs = 0;   // of them, those that were not there before
  int64_t bytes_read = 0;  // and checked against their SHA-256
};

// Makes `target` a data folder with the metadata of one moment and every blob that it refers to.
// Blobs are hard links where both are on one file system, else copies, and each is checked against
// its SHA-256. Everything is made under `target`.partial and renamed at the end: `target` is whole
// or not there. With a target that an earlier backup made, its blobs are used again and it is
// replaced. kFailedPrecondition when `data_dir` is no data folder or `target` is something else;
// kDataLoss when a blob is damaged.
Result<BackupResult> MakeBackup(const std::filesystem::path& data_dir,
                                const std::filesystem::path& target);

// Makes `data_dir`, which must be missing or empty (kFailedPrecondition), a copy of a backup that
// shares no file with it. Every blob is checked; kDataLoss names the one that is missing or
// damaged, and `data_dir` stays as it was.
Result<BackupResult> RestoreBackup(const std::filesystem::path& backup,
                                   const std::filesystem::path& data_dir);

}  // namespace haq::server::store
