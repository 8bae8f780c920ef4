#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <fstream>
#include <string_view>
#include <utility>

#include "core/data/dataset.h"
#include "core/data/preprocess.h"
#include "core/data/shard_names.h"

namespace haq::data {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxLabelBytes = 64;

struct ArchiveCloser {
  void operator()(archive* reader) const { archive_read_free(reader); }
};

// libarchive takes the end of the file for the end of the archive, so a shard that was cut between
// two entries would pass. What tar writers put at the end, two blocks of zeros, has to be there.
Status CheckEnd(const fs::path& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return NotFound("cannot open the shard {}", path.string());
  const std::streamoff size = file.tellg();
  char end[2 * kTarBlockBytes];
  if (size < std::streamoff{sizeof(end)} || size % kTarBlockBytes != 0 ||
      !file.seekg(size - std::streamoff{sizeof(end)}) || !file.read(end, sizeof(end)) ||
      std::any_of(std::begin(end), std::end(end), [](char c) { return c != 0; })) {
    return DataLoss("{}: not a tar archive, or cut short", path.string());
  }
  return Status::Ok();
}

std::optional<int64_t> ParseLabel(const std::vector<uint8_t>& bytes) {
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto is_space = [](unsigned char c) { return std::isspace(c) != 0; };
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  int64_t label = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), label);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (label < 0 || label > kMaxLabel) return std::nullopt;
  return label;
}

// The entries of one shard.
class TarReader {
 public:
  struct Entry {
    EntryName name;
    std::vector<uint8_t> bytes;
  };

  static Result<TarReader> Open(const fs::path& path, const ShardLimits& limits) {
    HAQ_RETURN_IF_ERROR(CheckEnd(path));
    TarReader reader(path, limits);
    archive* handle = reader.archive_.get();
    if (handle == nullptr) return InternalError("cannot make an archive reader");
    archive_read_support_format_tar(handle);
    constexpr size_t kReadBytes = 64 << 10;
    if (archive_read_open_filename(handle, path.c_str(), kReadBytes) != ARCHIVE_OK) {
      return reader.Damaged();
    }
    return reader;
  }

  // nullopt at the end.
  Result<std::optional<Entry>> Next() {
    while (true) {
      archive_entry* entry = nullptr;
      const int code = archive_read_next_header(archive_.get(), &entry);
      if (code == ARCHIVE_EOF) return std::optional<Entry>();
      if (code != ARCHIVE_OK) return Damaged();
      if (archive_entry_filetype(entry) == AE_IFDIR) continue;
      const char* raw_name = archive_entry_pathname(entry);
      const std::string name = raw_name == nullptr ? "" : raw_name;
      HAQ_ASSIGN_OR_RETURN(EntryName parsed, Check(entry, name));
      HAQ_ASSIGN_OR_RETURN(std::vector<uint8_t> bytes, ReadBytes(parsed));
      return std::optional(Entry{std::move(parsed), std::move(bytes)});
    }
  }

  // "shard: entry", fit for a message.
  std::string Place(const EntryName& name) const {
    return fmt::format("{}: {}", path_.string(), name.printable);
  }

 private:
  TarReader(fs::path path, const ShardLimits& limits)
      : path_(std::move(path)), limits_(limits), archive_(archive_read_new()) {}

  Status Damaged() const {
    const char* reason = archive_error_string(archive_.get());
    return DataLoss("{}: damaged tar archive: {}", path_.string(),
                    reason == nullptr ? "unreadable" : reason);
  }

  Result<EntryName> Check(archive_entry* entry, const std::string& name) const {
    Result<EntryName> parsed = ParseEntryName(name);
    if (!parsed.ok()) return parsed.status().WithContext(path_.string());
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr) {
      return InvalidArgument("{}: not a regular file", Place(*parsed));
    }
    const int64_t size = archive_entry_size(entry);
    const uint64_t limit =
        parsed->kind == EntryKind::kLabel ? kMaxLabelBytes : limits_.max_entry_bytes;
    if (size < 0 || static_cast<uint64_t>(size) > limit) {
      return InvalidArgument("{}: {} bytes; at most {} are allowed", Place(*parsed), size, limit);
    }
    return parsed;
  }

  // In pieces: memory is taken for bytes that are there, not for a size that was declared.
  Result<std::vector<uint8_t>> ReadBytes(const EntryName& name) {
    std::vector<uint8_t> bytes;
    while (true) {
      const void* piece = nullptr;
      size_t size = 0;
      int64_t offset = 0;
      const int code = archive_read_data_block(archive_.get(), &piece, &size, &offset);
      if (code == ARCHIVE_EOF) return bytes;
      if (code != ARCHIVE_OK) return Damaged();
      if (offset != static_cast<int64_t>(bytes.size())) {
        return InvalidArgument("{}: a sparse file", Place(name));
      }
      if (bytes.size() + size > limits_.max_entry_bytes) {
        return InvalidArgument("{}: more than {} bytes", Place(name), limits_.max_entry_bytes);
      }
      const auto* begin = static_cast<const uint8_t*>(piece);
      bytes.insert(bytes.end(), begin, begin + size);
    }
  }

  fs::path path_;
  ShardLimits limits_;
  std::unique_ptr<archive, ArchiveCloser> archive_;
};

// Neighbouring entries with the same key are one sample, in either order.
class ShardReader : public SampleReader {
 public:
  ShardReader(std::vector<fs::path> shards, const ShardLimits& limits)
      : shards_(std::move(shards)), limits_(limits) {}

  Result<std::optional<Sample>> Next() override {
    while (true) {
      if (!tar_) {
        if (next_shard_ == shards_.size()) return std::optional<Sample>();
        HAQ_ASSIGN_OR_RETURN(tar_, TarReader::Open(shards_[next_shard_++], limits_));
      }
      HAQ_ASSIGN_OR_RETURN(std::optional<TarReader::Entry> entry, tar_->Next());
      std::optional<Group> finished;
      if (group_ && (!entry || entry->name.key != group_->name.key)) {
        finished = std::exchange(group_, std::nullopt);
      }
      if (entry) HAQ_RETURN_IF_ERROR(Add(*std::move(entry)));
      if (finished && !finished->image) {
        return InvalidArgument("{}: a label without its image", tar_->Place(finished->name));
      }
      if (!entry) tar_.reset();
      if (finished) {
        return std::optional(
            Sample{finished->name.printable, *std::move(finished->image), finished->label});
      }
    }
  }

 private:
  struct Group {
    EntryName name;  // of the image once it is there
    std::optional<std::vector<uint8_t>> image;
    std::optional<int64_t> label;
  };

  Status Add(TarReader::Entry entry) {
    if (!group_) group_ = Group{entry.name, {}, {}};
    if (entry.name.kind == EntryKind::kLabel) {
      if (group_->label) return InvalidArgument("{}: a second label", tar_->Place(entry.name));
      group_->label = ParseLabel(entry.bytes);
      if (!group_->label) {
        return InvalidArgument("{}: a label is a decimal number from 0 to {}",
                               tar_->Place(entry.name), kMaxLabel);
      }
      return Status::Ok();
    }
    if (group_->image) {
      return InvalidArgument("{}: a second image with the same key", tar_->Place(entry.name));
    }
    group_->image = std::move(entry.bytes);
    group_->name = std::move(entry.name);
    return Status::Ok();
  }

  std::vector<fs::path> shards_;
  ShardLimits limits_;
  size_t next_shard_ = 0;
  std::optional<TarReader> tar_;
  std::optional<Group> group_;
};

}  // namespace

std::unique_ptr<SampleReader> ReadShards(std::vector<fs::path> shards) {
  return std::make_unique<ShardReader>(std::move(shards), ShardLimits());
}

Result<ShardSummary> CheckShard(const fs::path& shard, const ShardLimits& limits) {
  std::error_code error;
  const uint64_t size = fs::file_size(shard, error);
  if (error) return NotFound("cannot open the shard {}: {}", shard.string(), error.message());
  if (size > limits.max_shard_bytes) {
    return InvalidArgument("{}: {} bytes; a shard has at most {}", shard.string(), size,
                           limits.max_shard_bytes);
  }
  ShardReader reader({shard}, limits);
  ShardSummary summary;
  DecodeLimits decode_limits;
  decode_limits.max_encoded_bytes = limits.max_entry_bytes;
  while (true) {
    HAQ_ASSIGN_OR_RETURN(const std::optional<Sample> sample, reader.Next());
    if (!sample) break;
    if (const auto image = DecodeImage(sample->encoded, decode_limits); !image.ok()) {
      return image.status().WithContext(fmt::format("{}: {}", shard.string(), sample->key));
    }
    ++summary.images;
    summary.labelled = summary.labelled && sample->label.has_value();
    summary.max_label = std::max(summary.max_label, sample->label.value_or(-1));
  }
  if (summary.images == 0) return InvalidArgument("{}: no images in it", shard.string());
  return summary;
}

}  // namespace haq::data
