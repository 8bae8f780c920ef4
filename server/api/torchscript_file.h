// Tells a TorchScript file from other files, without LibTorch: a first look before it is stored.
#pragma once

#include <filesystem>

#include "core/base/status.h"

namespace haq::server::api {

// A TorchScript file is a zip archive with the entries <name>/data.pkl, <name>/constants.pkl and
// <name>/code/... kInvalidArgument says what is missing, and whether the file is truncated. Only
// the archive's directory is read.
Status CheckTorchScriptFile(const std::filesystem::path& path);

}  // namespace haq::server::api
