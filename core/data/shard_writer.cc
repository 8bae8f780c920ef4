#include <archive.h>
#include <archive_entry.h>

#include <fstream>
#include <span>
#include <string_view>
#include <utility>

#include "core/base/sha256.h"
#include "core/data/dataset.h"
#include "core/data/image_header.h"
#include "core/data/preprocess.h"
#include "core/data/shard_names.h"

namespace haq::data {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kEndBytes = 2 * kTarBlockBytes;

uint64_t EntryBytes(uint64_t content_bytes) {
  const uint64_t blocks = (content_bytes + kTarBlockBytes - 1) / kTarBlockBytes;
  return (1 + blocks) * kTarBlockBytes;
}

struct ArchiveCloser {
  void operator()(archive* writer) const { archive_write_free(writer); }
};

// One tar file, hashed while it is written. libarchive holds its address: it does not move.
class TarWriter {
 public:
  explicit TarWriter(fs::path path) : path_(std::move(path)) {}
  TarWriter(const TarWriter&) = delete;
  TarWriter& operator=(const TarWriter&) = delete;

  Status Open() {
    file_.open(path_, std::ios::binary | std::ios::trunc);
    if (!file_) return FailedPrecondition("cannot write the shard {}", path_.string());
    archive_.reset(archive_write_new());
    if (!archive_) return InternalError("cannot make an archive writer");
    archive_write_set_format_ustar(archive_.get());
    archive_write_set_bytes_in_last_block(archive_.get(), 1);
    if (archive_write_open(archive_.get(), this, nullptr, &TarWriter::OnWrite, nullptr) !=
        ARCHIVE_OK) {
      return Failed();
    }
    return Status::Ok();
  }

  Status Add(const std::string& name, std::span<const uint8_t> bytes) {
    // No times, owners or modes of the source: the same samples give the same bytes.
    const std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(),
                                                                         archive_entry_free);
    archive_entry_set_pathname(entry.get(), name.c_str());
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), 0644);
    archive_entry_set_mtime(entry.get(), 0, 0);
    archive_entry_set_size(entry.get(), static_cast<int64_t>(bytes.size()));
    if (archive_write_header(archive_.get(), entry.get()) != ARCHIVE_OK) return Failed();
    const auto written = archive_write_data(archive_.get(), bytes.data(), bytes.size());
    if (written != static_cast<la_ssize_t>(bytes.size())) return Failed();
    size_bytes_ += EntryBytes(bytes.size());
    return Status::Ok();
  }

  // With the end of the archive.
  uint64_t size_bytes() const { return size_bytes_; }
  int64_t images = 0;

  Result<ShardInfo> Finish() {
    if (archive_write_close(archive_.get()) != ARCHIVE_OK) return Failed();
    file_.close();
    if (!file_) return Failed();
    return ShardInfo{path_, ToHex(hash_.Finish()), size_bytes_, images};
  }

 private:
  static la_ssize_t OnWrite(archive*, void* self, const void* bytes, size_t size) {
    auto* writer = static_cast<TarWriter*>(self);
    const auto* data = static_cast<const char*>(bytes);
    writer->hash_.Update(std::string_view(data, size));
    writer->file_.write(data, static_cast<std::streamsize>(size));
    return writer->file_ ? static_cast<la_ssize_t>(size) : -1;
  }

  Status Failed() const {
    // Nearly always a full disk.
    return ResourceExhausted("cannot write the shard {}", path_.string());
  }

  fs::path path_;
  std::ofstream file_;
  Sha256 hash_;
  uint64_t size_bytes_ = kEndBytes;
  std::unique_ptr<archive, ArchiveCloser> archive_;  // destroyed first: it may still write
};

// The shards of one PackShards call; removes them all unless Finish succeeds.
class Packer {
 public:
  Packer(fs::path folder, const ShardLimits& limits)
      : folder_(std::move(folder)), limits_(limits) {}
  ~Packer() {
    tar_.reset();
    std::error_code ignored;
    for (const fs::path& path : unfinished_) fs::remove(path, ignored);
  }

  Status Add(const Sample& sample, ImageFormat format) {
    const std::string label = sample.label ? fmt::format("{}", *sample.label) : "";
    const uint64_t size =
        EntryBytes(sample.encoded.size()) + (sample.label ? EntryBytes(label.size()) : 0);
    if (sample.encoded.size() > limits_.max_entry_bytes ||
        size + kEndBytes > limits_.max_shard_bytes) {
      return InvalidArgument("{}: {} bytes do not fit into a shard of at most {}",
                             Printable(sample.key), sample.encoded.size(), limits_.max_shard_bytes);
    }
    if (tar_ && tar_->size_bytes() + size > limits_.max_shard_bytes) {
      HAQ_RETURN_IF_ERROR(CloseShard());
    }
    if (!tar_) HAQ_RETURN_IF_ERROR(OpenShard());
    key_ = KeyOf(sample.key, key_);
    HAQ_RETURN_IF_ERROR(tar_->Add(fmt::format("{}.{}", key_, ExtensionOf(format)), sample.encoded));
    if (sample.label) {
      const auto* text = reinterpret_cast<const uint8_t*>(label.data());
      HAQ_RETURN_IF_ERROR(tar_->Add(key_ + ".cls", {text, label.size()}));
    }
    ++tar_->images;
    return Status::Ok();
  }

  Result<std::vector<ShardInfo>> Finish() {
    if (tar_) HAQ_RETURN_IF_ERROR(CloseShard());
    unfinished_.clear();
    return std::move(shards_);
  }

 private:
  Status OpenShard() {
    const fs::path path = folder_ / fmt::format("shard-{:05}.tar", shards_.size());
    unfinished_.push_back(path);
    tar_ = std::make_unique<TarWriter>(path);
    return tar_->Open();
  }

  Status CloseShard() {
    HAQ_ASSIGN_OR_RETURN(ShardInfo info, tar_->Finish());
    shards_.push_back(std::move(info));
    tar_.reset();
    return Status::Ok();
  }

  fs::path folder_;
  ShardLimits limits_;
  std::vector<ShardInfo> shards_;
  std::vector<fs::path> unfinished_;
  std::unique_ptr<TarWriter> tar_;
  std::string key_;  // of the sample before
};

// The format of an image that decodes.
Result<ImageFormat> CheckImage(const Sample& sample, const ShardLimits& limits) {
  DecodeLimits decode_limits;
  decode_limits.max_encoded_bytes = limits.max_entry_bytes;
  if (const auto image = DecodeImage(sample.encoded, decode_limits); !image.ok()) {
    return image.status().WithContext(Printable(sample.key));
  }
  HAQ_ASSIGN_OR_RETURN(const ImageHeader header, ReadImageHeader(sample.encoded));
  return header.format;
}

Status CheckLabel(const Sample& sample) {
  if (!sample.label || (*sample.label >= 0 && *sample.label <= kMaxLabel)) return Status::Ok();
  return InvalidArgument("{}: the label {} is not from 0 to {}", Printable(sample.key),
                         *sample.label, kMaxLabel);
}

}  // namespace

Result<std::vector<ShardInfo>> PackShards(SampleReader& samples, const fs::path& folder,
                                          const ShardLimits& limits,
                                          std::vector<std::string>* skipped,
                                          const std::function<void(int64_t)>& progress) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    return FailedPrecondition("cannot make the folder {}: {}", folder.string(), error.message());
  }
  Packer packer(folder, limits);
  int64_t done = 0, packed = 0;
  while (true) {
    HAQ_ASSIGN_OR_RETURN(const std::optional<Sample> sample, samples.Next());
    if (!sample) break;
    HAQ_RETURN_IF_ERROR(CheckLabel(*sample));
    if (const Result<ImageFormat> format = CheckImage(*sample, limits); format.ok()) {
      HAQ_RETURN_IF_ERROR(packer.Add(*sample, *format));
      ++packed;
    } else if (skipped != nullptr) {
      skipped->push_back(sample->key);
    } else {
      return format.status();
    }
    if (progress) progress(++done);
  }
  if (packed == 0) {
    return InvalidArgument("no images to pack: {} were left out as undecodable",
                           skipped == nullptr ? 0 : skipped->size());
  }
  return packer.Finish();
}

}  // namespace haq::data
