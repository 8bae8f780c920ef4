// What `haq artifacts show FILE` prints.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "core/artifact/model.h"

namespace haq::client {

std::string ArtifactText(const artifact::Model& model);
// {"input_shape", "preprocess", "class_names", "metadata", "tensors": [..], "layers": [..]}
nlohmann::ordered_json ArtifactJson(const artifact::Model& model);

}  // namespace haq::client
