// Content-addressed files: `blobs/<first two digits>/<sha256>`. A file under its name is whole and
// never changes.
#pragma once

#include <filesystem>
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
  // Blobs whose file was last changed before that time.
  std::vector<std::string> ListOlderThan(int64_t time_us) const;

 private:
  const std::filesystem::path folder_;
};

}  // namespace haq::server::store
