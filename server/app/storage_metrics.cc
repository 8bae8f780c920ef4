#include "server/app/storage_metrics.h"

#include <system_error>

namespace haq::server::app {
namespace {

int64_t SizeOf(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<int64_t>(size);
}

}  // namespace

void StorageMetrics::Update() {
  const std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + kLookEvery;
  metrics::Metrics::Storage storage;
  for (const char* suffix : {"", "-wal"}) {
    storage.database_bytes += SizeOf(folder_.database().string() + suffix);
  }
  // Files may come and go meanwhile.
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator entry(folder_.blobs(), error), end;
       !error && entry != end; entry.increment(error)) {
    std::error_code of_entry;
    if (!entry->is_regular_file(of_entry)) continue;
    ++storage.blobs;
    storage.blob_bytes += SizeOf(entry->path());
  }
  const auto space = std::filesystem::space(folder_.root(), error);
  if (!error) storage.free_bytes = static_cast<int64_t>(space.available);
  metrics_.SetStorage(storage);
}

}  // namespace haq::server::app
