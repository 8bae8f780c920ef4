#include <algorithm>
#include <cctype>
#include <map>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>

#include "core/base/file.h"
#include "core/data/dataset.h"

namespace haq::data {
namespace {

namespace fs = std::filesystem;

bool IsHidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

bool IsImage(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

struct Contents {
  std::vector<std::string> images, folders;  // names, sorted by byte value
};

// Hidden names and files that are not images are passed over: folders collect them.
Result<Contents> ReadContents(const fs::path& folder) {
  Contents contents;
  std::error_code error;
  fs::directory_iterator it(folder, error);
  for (; !error && it != fs::directory_iterator(); it.increment(error)) {
    if (IsHidden(it->path())) continue;
    std::error_code unreadable;
    const std::string name = it->path().filename().string();
    if (it->is_directory(unreadable)) {
      contents.folders.push_back(name);
    } else if (it->is_regular_file(unreadable) && IsImage(it->path())) {
      contents.images.push_back(name);
    }
  }
  if (error) {
    return InvalidArgument("cannot read the folder {}: {}", folder.string(), error.message());
  }
  std::sort(contents.images.begin(), contents.images.end());
  std::sort(contents.folders.begin(), contents.folders.end());
  return contents;
}

// First words of the lines, by line.
Result<std::vector<std::string>> ReadLabelsFile(const fs::path& path) {
  HAQ_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  std::vector<std::string> names;
  std::map<std::string, size_t> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    std::string name;
    std::istringstream(line) >> name;
    if (const auto [it, added] = lines.emplace(name, names.size() + 1); !added && !name.empty()) {
      return InvalidArgument("{}: lines {} and {} both name the class {}", path.string(),
                             it->second, names.size() + 1, name);
    }
    names.push_back(std::move(name));
  }
  return names;
}

struct Class {
  std::string name;
  int64_t label = 0;
  std::vector<std::string> images;
};

Result<std::vector<Class>> ReadClasses(const fs::path& folder,
                                       const std::vector<std::string>& subfolders) {
  std::vector<Class> classes;
  for (const std::string& name : subfolders) {
    HAQ_ASSIGN_OR_RETURN(Contents contents, ReadContents(folder / name));
    if (!contents.folders.empty()) {
      return InvalidArgument("{}: a class folder holds images, not folders",
                             (folder / name / contents.folders.front()).string());
    }
    const auto label = static_cast<int64_t>(classes.size());
    classes.push_back({name, label, std::move(contents.images)});
  }
  return classes;
}

Status TakeLabels(const fs::path& folder, const fs::path& labels_file, std::vector<Class>& classes,
                  std::vector<std::string>& class_names) {
  HAQ_ASSIGN_OR_RETURN(const std::vector<std::string> names, ReadLabelsFile(labels_file));
  class_names.assign(names.size(), "");
  std::map<std::string, int64_t> label_of;
  for (size_t i = 0; i < names.size(); ++i) label_of.emplace(names[i], i);
  for (Class& entry : classes) {
    const auto found = label_of.find(entry.name);
    if (found == label_of.end()) {
      return InvalidArgument("{}: the label file {} has no line that starts with {}",
                             (folder / entry.name).string(), labels_file.string(), entry.name);
    }
    entry.label = found->second;
    class_names[entry.label] = entry.name;
  }
  return Status::Ok();
}

std::vector<FolderEntry> RoundRobin(const fs::path& folder, const std::vector<Class>& classes) {
  size_t longest = 0;
  for (const Class& entry : classes) longest = std::max(longest, entry.images.size());
  std::vector<FolderEntry> entries;
  for (size_t i = 0; i < longest; ++i) {
    for (const Class& entry : classes) {
      if (i >= entry.images.size()) continue;
      entries.push_back(
          {folder / entry.name / entry.images[i], entry.name + "/" + entry.images[i], entry.label});
    }
  }
  return entries;
}

class FolderReader : public SampleReader {
 public:
  explicit FolderReader(FolderListing listing) : listing_(std::move(listing)) {}

  Result<std::optional<Sample>> Next() override {
    if (next_ == listing_.entries.size()) return std::optional<Sample>();
    const FolderEntry& entry = listing_.entries[next_];
    Result<std::vector<uint8_t>> encoded = ReadFile(entry.path, ShardLimits().max_entry_bytes);
    if (!encoded.ok()) {
      // A file that is too large or vanished is the caller's to mend, like any other bad image.
      return Status(StatusCode::kInvalidArgument, encoded.status().message());
    }
    ++next_;
    return std::optional(Sample{entry.key, *std::move(encoded), entry.label});
  }

 private:
  FolderListing listing_;
  size_t next_ = 0;
};

}  // namespace

Result<FolderListing> ListFolder(const fs::path& folder,
                                 const std::optional<fs::path>& labels_file) {
  HAQ_ASSIGN_OR_RETURN(const Contents contents, ReadContents(folder));
  FolderListing listing;
  if (contents.folders.empty()) {
    if (labels_file && !contents.images.empty()) {
      return InvalidArgument("{}: a label file was given, but the images are in no class folders",
                             folder.string());
    }
    for (const std::string& name : contents.images) {
      listing.entries.push_back({folder / name, name, std::nullopt});
    }
  } else {
    if (!contents.images.empty()) {
      return InvalidArgument("{}: an image beside class folders; move it into one of them",
                             (folder / contents.images.front()).string());
    }
    HAQ_ASSIGN_OR_RETURN(std::vector<Class> classes, ReadClasses(folder, contents.folders));
    if (labels_file) {
      HAQ_RETURN_IF_ERROR(TakeLabels(folder, *labels_file, classes, listing.class_names));
    } else {
      listing.class_names = contents.folders;
    }
    listing.entries = RoundRobin(folder, classes);
  }
  if (listing.entries.empty()) {
    return InvalidArgument("{}: no images (.jpg, .jpeg or .png) in it or its class folders",
                           folder.string());
  }
  return listing;
}

std::unique_ptr<SampleReader> ReadFolder(FolderListing listing) {
  return std::make_unique<FolderReader>(std::move(listing));
}

}  // namespace haq::data
