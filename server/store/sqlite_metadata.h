// Metadata in one SQLite file, in WAL mode with synchronous=FULL. One connection writes, one reads.
#pragma once

#include <filesystem>
#include <memory>

#include "server/store/metadata.h"

namespace haq::server::store {

// Creates the file, or opens it. kUnsupported when a newer version of the program made it,
// kDataLoss when it is damaged, kFailedPrecondition when it cannot be read or written.
Result<std::unique_ptr<Metadata>> OpenSqliteMetadata(const std::filesystem::path& path);

}  // namespace haq::server::store
