// Resource names: "models/resnet20", "models/resnet20/versions/3", "datasets/cifar", "jobs/12".
// Parsers take the name of the request's field for the error.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace haq::server::api {

// [a-z0-9]([a-z0-9_.-]{0,62}[a-z0-9])?
bool IsResourceId(std::string_view id);
// kInvalidArgument for `field` unless it is one.
Status CheckResourceId(const std::string& field, std::string_view id);

std::string ModelName(std::string_view id);
std::string DatasetName(std::string_view id);
std::string VersionName(std::string_view model_id, int64_t version);

// The identifier.
Result<std::string> ParseModelName(const std::string& field, std::string_view name);
Result<std::string> ParseDatasetName(const std::string& field, std::string_view name);
Result<int64_t> ParseJobName(const std::string& field, std::string_view name);

struct VersionRef {
  std::string model_id;
  int64_t version = 0;  // 0: the served one
};
// "models/{id}/versions/{n}" or "models/{id}".
Result<VersionRef> ParseVersionName(const std::string& field, std::string_view name);

}  // namespace haq::server::api
