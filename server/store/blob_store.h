// Content-addressed files: `blobs/<first two digits>/<sha256>`. A file under its name is whole and
// never changes.
#pragma once

#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "server/store/descriptor.h"

namespace haq::server::store {

// Thread-safe.
class BlobStore {
 public:
  explicit BlobStore(std::filesystem::path folder) : folder_(std::move(folder)) {}

  std::filesystem::path PathOf(const std::string& sha256) const;
  // The blob's size; nullopt when there is none.
  std::optional<int64_t> Find(const std::string& sha256) const;
  // kNotFound when there is none.
  Result<Descriptor> Open(const std::string& sha256) const;
  // Moves a file of the same file system, whose content the caller has checked, to its place; it is
  // synced first, and the folder after. A blob that is there already stays, and the file goes.
  Status Adopt(const std::filesystem::path& file, const std::string& sha256);
  // Readers that have it open keep it. Removing what is not there is OK.
  Status Remove(const std::string& sha256);
  // Blobs whose file was adopted or touched last before that time.
  std::vector<std::string> ListOlderThan(int64_t time_us) const;
  // Somebody is about to refer to it: it counts as new. The blob's size; nullopt when there is
  // none.
  std::optional<int64_t> Touch(const std::string& sha256);
  // Removes it unless it was touched since; the bytes that this freed.
  Result<int64_t> RemoveIfOlderThan(const std::string& sha256, int64_t time_us);

 private:
  const std::filesystem::path folder_;
  std::mutex mutex_;  // touching and removing exclude each other
};

}  // namespace haq::server::store
