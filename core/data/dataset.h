// Datasets: image folders and tar shards (WebDataset convention), read as a stream; memory does not
// depend on the number of images. docs/datasets.md describes both forms.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/status.h"

namespace haq::data {

struct Sample {
  std::string key;               // path in the folder, or name of the image's entry in the shard
  std::vector<uint8_t> encoded;  // JPEG or PNG bytes
  std::optional<int64_t> label;
};

// A stream of samples in a fixed order. Not thread-safe.
class SampleReader {
 public:
  virtual ~SampleReader() = default;
  // The next sample; nullopt at the end. kDataLoss / kInvalidArgument name the file and entry.
  virtual Result<std::optional<Sample>> Next() = 0;
};

// A folder: images in class subfolders (sorted by name), or images without classes directly in it.
struct FolderEntry {
  std::filesystem::path path;
  std::string key;  // relative path
  std::optional<int64_t> label;
};
struct FolderListing {
  std::vector<FolderEntry> entries;      // the order of the dataset: see ListFolder
  std::vector<std::string> class_names;  // by label; "" for labels without a folder
};
// Lists .jpg .jpeg .png files (any case). Labels: with `labels_file`, the number of the line (from
// 0) on which the subfolder's name stands (the first word of a line); without, the subfolder's rank
// in alphabetical order. Entries are ordered so that any prefix is spread over the classes: round
// robin over the classes, by name within a class. kInvalidArgument: no images, a subfolder that the
// label file does not name, images both in subfolders and beside them; names the path.
Result<FolderListing> ListFolder(const std::filesystem::path& folder,
                                 const std::optional<std::filesystem::path>& labels_file = {});
std::unique_ptr<SampleReader> ReadFolder(FolderListing listing);

// Samples of tar shards, in order. A shard is a path; libarchive reads it as a stream. An entry
// that is neither an image nor a label, a label without its image, or a label that is no number is
// kInvalidArgument; a shard that is cut short or damaged is kDataLoss.
std::unique_ptr<SampleReader> ReadShards(std::vector<std::filesystem::path> shards);

struct ShardLimits {
  uint64_t max_shard_bytes = 64 << 20;
  uint64_t max_entry_bytes = 64 << 20;
};
struct ShardInfo {
  std::filesystem::path path;
  std::string sha256;
  uint64_t size_bytes = 0;
  int64_t images = 0;
};
// Packs samples into shards `folder`/shard-00000.tar, ... of at most max_shard_bytes each (a single
// larger image is kInvalidArgument). Deterministic: the same samples give the same bytes. Every
// image is decoded once to check it; one that cannot be decoded fails with its key, or is left out
// and counted when `skipped` is given. `progress` (optional) is called with the number of images
// done.
Result<std::vector<ShardInfo>> PackShards(SampleReader& samples,
                                          const std::filesystem::path& folder,
                                          const ShardLimits& limits = {},
                                          std::vector<std::string>* skipped = nullptr,
                                          const std::function<void(int64_t)>& progress = {});

struct ShardSummary {
  int64_t images = 0;
  bool labelled = true;  // every image has a label
  int64_t max_label = -1;
};
// Reads a whole shard, decoding every image, and counts. kInvalidArgument / kDataLoss name the
// entry.
Result<ShardSummary> CheckShard(const std::filesystem::path& shard, const ShardLimits& limits = {});

}  // namespace haq::data
