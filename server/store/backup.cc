#include "server/store/backup.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <vector>

#include "core/base/file.h"
#include "core/base/sha256.h"
#include "server/store/blob_store.h"
#include "server/store/descriptor.h"

namespace haq::server::store {
namespace {

namespace fs = std::filesystem;

constexpr char kDatabase[] = "haq.sqlite";
// How often blobs may vanish, because their model was deleted, before we give up.
constexpr int kSnapshots = 5;

struct Blob {
  std::string sha256;
  int64_t size_bytes = 0;
};

std::vector<Blob> BlobsOf(const fs::path& database) {
  SQLite::Database metadata(database.string(), SQLite::OPEN_READONLY);
  SQLite::Statement rows(metadata,
                         "SELECT sha256, size_bytes FROM models UNION "
                         "SELECT sha256, size_bytes FROM shards UNION "
                         "SELECT sha256, size_bytes FROM artifacts");
  std::vector<Blob> blobs;
  while (rows.executeStep()) {
    blobs.push_back({rows.getColumn(0).getString(), rows.getColumn(1).getInt64()});
  }
  return blobs;
}

// A copy of one moment, without a log beside it, and on the disk.
Status Snapshot(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::remove(to, error);
  {
    SQLite::Database metadata(from.string(), SQLite::OPEN_READWRITE, 10'000);
    SQLite::Statement copy(metadata, "VACUUM INTO ?");
    copy.bind(1, to.string());
    copy.exec();
  }
  HAQ_ASSIGN_OR_RETURN(const Descriptor file, OpenFile(to, O_RDWR));
  return SyncFile(file, to);
}

// Reads `from`, into `to` where that is valid, and checks the digest.
Status ReadAndCheck(const Descriptor& from, const fs::path& path, const Blob& blob,
                    const Descriptor& to, const fs::path& to_path) {
  std::vector<uint8_t> buffer(1 << 20);
  Sha256 hash;
  int64_t done = 0;
  while (true) {
    HAQ_ASSIGN_OR_RETURN(const size_t got, ReadAt(from, path, done, buffer));
    if (got == 0) break;
    const auto piece = std::span(buffer).first(got);
    hash.Update(piece);
    if (to.valid()) HAQ_RETURN_IF_ERROR(WriteAt(to, to_path, done, piece));
    done += static_cast<int64_t>(got);
  }
  if (done != blob.size_bytes || ToHex(hash.Finish()) != blob.sha256) {
    return DataLoss("{} is damaged: its content is not that of its name", path.string());
  }
  return {};
}

// kNotFound when the source has no such blob.
Status TakeBlob(const BlobStore& from, const fs::path& to, const Blob& blob, bool link) {
  const fs::path source = from.PathOf(blob.sha256);
  HAQ_ASSIGN_OR_RETURN(const Descriptor file, OpenFile(source, O_RDONLY));
  std::error_code error;
  fs::create_directories(to.parent_path(), error);
  if (link && ::link(source.c_str(), to.c_str()) == 0) {
    return ReadAndCheck(file, source, blob, Descriptor(), to);
  }
  if (link && errno != EXDEV && errno != EPERM && errno != EMLINK) return SystemError(to, "link");
  HAQ_ASSIGN_OR_RETURN(const Descriptor copy, OpenFile(to, O_RDWR | O_CREAT | O_TRUNC, 0644));
  HAQ_RETURN_IF_ERROR(ReadAndCheck(file, source, blob, copy, to));
  return SyncFile(copy, to);
}

Status SyncFolders(const fs::path& root) {
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (entry.is_directory()) HAQ_RETURN_IF_ERROR(SyncFolder(entry.path()));
  }
  return SyncFolder(root);
}

// Everything that `database` names, from `from` or, where it is there already, from `before`.
Result<BackupResult> TakeBlobs(const fs::path& from, const fs::path& before, const fs::path& to,
                               bool link) {
  const BlobStore source(from / "blobs"), earlier(before / "blobs"), target(to / "blobs");
  std::error_code error;
  fs::create_directories(to / "blobs", error);
  BackupResult result;
  for (const Blob& blob : BlobsOf(to / kDatabase)) {
    ++result.blobs;
    result.blob_bytes += blob.size_bytes;
    const fs::path path = target.PathOf(blob.sha256);
    if (target.Find(blob.sha256)) continue;  // of the snapshot before this one
    const bool known = earlier.Find(blob.sha256) == blob.size_bytes;
    HAQ_RETURN_IF_ERROR(TakeBlob(known ? earlier : source, path, blob, link || known));
    result.bytes_read += blob.size_bytes;
    result.new_blobs += known ? 0 : 1;
  }
  return result;
}

Status Replace(const fs::path& partial, const fs::path& target) {
  const fs::path old = target.string() + ".old";
  std::error_code error;
  fs::remove_all(old, error);
  const bool existed = fs::exists(target, error);
  if (existed && ::rename(target.c_str(), old.c_str()) != 0) return SystemError(target, "replace");
  if (::rename(partial.c_str(), target.c_str()) != 0) return SystemError(target, "make");
  fs::remove_all(old, error);
  return SyncFolder(target.parent_path());
}

fs::path Absolute(const fs::path& path) {
  const fs::path absolute = fs::absolute(path).lexically_normal();
  return absolute.filename().empty() ? absolute.parent_path() : absolute;
}

Status CheckIsDataFolder(const fs::path& folder) {
  if (fs::exists(folder / kDatabase)) return {};
  return FailedPrecondition("{} holds no {}: it is neither a data folder nor a backup",
                            folder.string(), kDatabase);
}

Result<BackupResult> MakeBackupOrThrow(const fs::path& from, const fs::path& target) {
  HAQ_RETURN_IF_ERROR(CheckIsDataFolder(from));
  if (fs::exists(target) && !fs::is_empty(target)) HAQ_RETURN_IF_ERROR(CheckIsDataFolder(target));
  if (fs::exists(target / "lock")) {
    return FailedPrecondition("{} is the data folder of a server, not a backup", target.string());
  }
  const fs::path partial = target.string() + ".partial";
  fs::remove_all(partial);
  fs::create_directories(partial);
  Result<BackupResult> result = InternalError("no snapshot");
  for (int i = 0; i < kSnapshots; ++i) {
    HAQ_RETURN_IF_ERROR(Snapshot(from / kDatabase, partial / kDatabase));
    result = TakeBlobs(from, target, partial, /*link=*/true);
    // A model was deleted since the snapshot; the next one does not have it.
    if (result.ok() || result.status().code() != StatusCode::kNotFound) break;
  }
  if (!result.ok()) return result.status();
  HAQ_RETURN_IF_ERROR(SyncFolders(partial));
  HAQ_RETURN_IF_ERROR(Replace(partial, target));
  return result;
}

Result<BackupResult> RestoreOrThrow(const fs::path& backup, const fs::path& target) {
  HAQ_RETURN_IF_ERROR(CheckIsDataFolder(backup));
  if (fs::exists(target) && !(fs::is_directory(target) && fs::is_empty(target))) {
    return FailedPrecondition("{} is not empty: a backup is restored into a new folder",
                              target.string());
  }
  const fs::path partial = target.string() + ".partial";
  fs::remove_all(partial);
  fs::create_directories(partial);
  HAQ_RETURN_IF_ERROR(Snapshot(backup / kDatabase, partial / kDatabase));
  Result<BackupResult> result = TakeBlobs(backup, {}, partial, /*link=*/false);
  if (!result.ok()) {
    fs::remove_all(partial);
    if (result.status().code() != StatusCode::kNotFound) return result.status();
    return DataLoss("the backup is not whole: {}", result.status().message());
  }
  HAQ_RETURN_IF_ERROR(SyncFolders(partial));
  HAQ_RETURN_IF_ERROR(Replace(partial, target));
  return result;
}

template <typename Function>
Result<BackupResult> Catch(const fs::path& path, Function function) {
  try {
    return function();
  } catch (const SQLite::Exception& exception) {
    return DataLoss("database of {}: {}", path.string(), exception.what());
  } catch (const fs::filesystem_error& exception) {
    return FailedPrecondition("{}", exception.what());
  }
}

}  // namespace

Result<BackupResult> MakeBackup(const fs::path& data_dir, const fs::path& target) {
  return Catch(data_dir, [&] { return MakeBackupOrThrow(Absolute(data_dir), Absolute(target)); });
}

Result<BackupResult> RestoreBackup(const fs::path& backup, const fs::path& data_dir) {
  return Catch(backup, [&] { return RestoreOrThrow(Absolute(backup), Absolute(data_dir)); });
}

}  // namespace haq::server::store
