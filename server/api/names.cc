#include "server/api/names.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace haq::server::api {
namespace {

constexpr std::string_view kModels = "models/";
constexpr std::string_view kDatasets = "datasets/";
constexpr std::string_view kJobs = "jobs/";
constexpr std::string_view kVersions = "/versions/";
constexpr size_t kMaxIdLength = 64;

bool IsEdge(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool IsInner(char c) { return IsEdge(c) || c == '_' || c == '.' || c == '-'; }

// What somebody sent, short enough for a message.
std::string Quote(std::string_view text) {
  if (text.size() <= 100) return fmt::format("'{}'", text);
  return fmt::format("'{}...'", text.substr(0, 100));
}

std::optional<int64_t> ParseNumber(std::string_view text) {
  int64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  // One spelling for every number: "jobs/07" is not the name of a job.
  if (number < 1 || text.front() == '0') return std::nullopt;
  return number;
}

Result<std::string> ParseName(const std::string& field, std::string_view name,
                              std::string_view collection) {
  if (name.substr(0, collection.size()) == collection) {
    const std::string_view id = name.substr(collection.size());
    if (IsResourceId(id)) return std::string(id);
  }
  return InvalidField(field, "must be {}{{id}}, found {}", collection, Quote(name));
}

}  // namespace

bool IsResourceId(std::string_view id) {
  return !id.empty() && id.size() <= kMaxIdLength && IsEdge(id.front()) && IsEdge(id.back()) &&
         std::all_of(id.begin(), id.end(), IsInner);
}

Status CheckResourceId(const std::string& field, std::string_view id) {
  if (IsResourceId(id)) return {};
  return InvalidField(field,
                      "must be 1 to {} of a-z, 0-9, '_', '.', '-', beginning and ending with a "
                      "letter or digit, found {}",
                      kMaxIdLength, Quote(id));
}

std::string ModelName(std::string_view id) { return fmt::format("{}{}", kModels, id); }
std::string DatasetName(std::string_view id) { return fmt::format("{}{}", kDatasets, id); }
std::string VersionName(std::string_view model_id, int64_t version) {
  return fmt::format("{}{}{}{}", kModels, model_id, kVersions, version);
}

Result<std::string> ParseModelName(const std::string& field, std::string_view name) {
  return ParseName(field, name, kModels);
}

Result<std::string> ParseDatasetName(const std::string& field, std::string_view name) {
  return ParseName(field, name, kDatasets);
}

Result<int64_t> ParseJobName(const std::string& field, std::string_view name) {
  if (name.substr(0, kJobs.size()) == kJobs) {
    if (const auto number = ParseNumber(name.substr(kJobs.size()))) return *number;
  }
  return InvalidField(field, "must be jobs/{{number}}, found {}", Quote(name));
}

Result<VersionRef> ParseVersionName(const std::string& field, std::string_view name) {
  const size_t versions = name.find(kVersions);
  const auto model = ParseModelName(field, name.substr(0, versions));
  if (model.ok() && versions == std::string_view::npos) return VersionRef{*model, 0};
  if (model.ok()) {
    if (const auto number = ParseNumber(name.substr(versions + kVersions.size()))) {
      return VersionRef{*model, *number};
    }
  }
  return InvalidField(field, "must be models/{{id}} or models/{{id}}/versions/{{number}}, found {}",
                      Quote(name));
}

}  // namespace haq::server::api
