#include "server/store/sqlite_metadata.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include <mutex>

#include "server/store/sqlite_schema.h"
#include "server/store/sqlite_transaction.h"

namespace haq::server::store {
namespace {

// A transaction that is rolled back unless it was committed.
class Scope {
 public:
  Scope(SQLite::Database& database, const char* begin) : database_(database) {
    database_.exec(begin);
  }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope() {
    if (committed_) return;
    // After some failures SQLite has rolled back by itself, and says so here.
    database_.tryExec("ROLLBACK");
  }
  void Commit() {
    database_.exec("COMMIT");
    committed_ = true;
  }

 private:
  SQLite::Database& database_;
  bool committed_ = false;
};

class SqliteMetadata : public Metadata {
 public:
  explicit SqliteMetadata(const std::string& path)
      : path_(path), writer_(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, kBusyTimeoutMs) {
    writer_.exec("PRAGMA journal_mode = WAL");
    // Fsync of the log at every commit: what was acknowledged survives a power cut.
    writer_.exec("PRAGMA synchronous = FULL");
    writer_.exec("PRAGMA foreign_keys = ON");
  }

  Status Prepare() {
    HAQ_RETURN_IF_ERROR(PrepareSchema(writer_));
    reader_ = std::make_unique<SQLite::Database>(path_, SQLite::OPEN_READWRITE, kBusyTimeoutMs);
    reader_->exec("PRAGMA query_only = ON");
    return {};
  }

  Status Read(const TransactionFunction& function) override {
    const std::lock_guard lock(reader_mutex_);
    return Run(*reader_, "BEGIN DEFERRED", function);
  }

  Status Write(const TransactionFunction& function) override {
    const std::lock_guard lock(writer_mutex_);
    return Run(writer_, "BEGIN IMMEDIATE", function);
  }

 private:
  static constexpr int kBusyTimeoutMs = 10'000;

  Status Run(SQLite::Database& database, const char* begin, const TransactionFunction& function) {
    try {
      Scope scope(database, begin);
      SqliteTransaction transaction(database);
      Status status = function(transaction);
      HAQ_RETURN_IF_ERROR(transaction.status());
      HAQ_RETURN_IF_ERROR(status);
      scope.Commit();
      return {};
    } catch (const SQLite::Exception& exception) {
      return StatusOf(exception, path_);
    }
  }

  const std::string path_;
  std::mutex writer_mutex_;
  SQLite::Database writer_;  // guarded by writer_mutex_
  std::mutex reader_mutex_;
  std::unique_ptr<SQLite::Database> reader_;  // guarded by reader_mutex_
};

}  // namespace

Result<std::unique_ptr<Metadata>> OpenSqliteMetadata(const std::filesystem::path& path) {
  try {
    auto metadata = std::make_unique<SqliteMetadata>(path.string());
    HAQ_RETURN_IF_ERROR(metadata->Prepare());
    return Result<std::unique_ptr<Metadata>>(std::move(metadata));
  } catch (const SQLite::Exception& exception) {
    return StatusOf(exception, path.string());
  }
}

}  // namespace haq::server::store
