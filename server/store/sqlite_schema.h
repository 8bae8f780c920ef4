// Tables of the SQLite store; docs/job_store.md describes them.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include "core/base/status.h"

namespace haq::server::store {

inline constexpr int kSchemaVersion = 2;

// Makes the tables in an empty database; kUnsupported when the database is of a newer version.
// Throws SQLite::Exception.
Status PrepareSchema(SQLite::Database& database);

}  // namespace haq::server::store
