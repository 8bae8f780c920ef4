#include "server/store/sqlite_schema.h"

namespace haq::server::store {
namespace {

constexpr char kTables[] = R"sql(
CREATE TABLE models(
  id TEXT PRIMARY KEY NOT NULL, format TEXT NOT NULL, sha256 TEXT NOT NULL,
  size_bytes INTEGER NOT NULL, input_shape TEXT NOT NULL, preprocess_json TEXT NOT NULL,
  class_names TEXT NOT NULL, create_time_us INTEGER NOT NULL, last_version INTEGER NOT NULL,
  served_version INTEGER NOT NULL, previous_version INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE INDEX models_sha256 ON models(sha256);
CREATE TABLE datasets(
  id TEXT PRIMARY KEY NOT NULL, images INTEGER NOT NULL, size_bytes INTEGER NOT NULL,
  labelled INTEGER NOT NULL, max_label INTEGER NOT NULL, class_names TEXT NOT NULL,
  create_time_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE shards(
  dataset TEXT NOT NULL REFERENCES datasets(id) ON DELETE CASCADE, position INTEGER NOT NULL,
  sha256 TEXT NOT NULL, size_bytes INTEGER NOT NULL, images INTEGER NOT NULL,
  PRIMARY KEY(dataset, position)) WITHOUT ROWID;
CREATE INDEX shards_sha256 ON shards(sha256);
CREATE TABLE artifacts(
  model TEXT NOT NULL REFERENCES models(id) ON DELETE CASCADE, version INTEGER NOT NULL,
  job INTEGER NOT NULL, sha256 TEXT NOT NULL, size_bytes INTEGER NOT NULL,
  create_time_us INTEGER NOT NULL, PRIMARY KEY(model, version)) WITHOUT ROWID;
CREATE INDEX artifacts_sha256 ON artifacts(sha256);
CREATE TABLE jobs(
  number INTEGER PRIMARY KEY AUTOINCREMENT, model TEXT NOT NULL, calibration_dataset TEXT NOT NULL,
  evaluation_dataset TEXT NOT NULL, spec BLOB NOT NULL, state INTEGER NOT NULL,
  error TEXT NOT NULL, error_code TEXT NOT NULL, attempt INTEGER NOT NULL, lost INTEGER NOT NULL,
  create_time_us INTEGER NOT NULL, start_time_us INTEGER NOT NULL, end_time_us INTEGER NOT NULL,
  artifact_version INTEGER NOT NULL, progress BLOB NOT NULL, accuracy BLOB NOT NULL,
  last_sequence INTEGER NOT NULL, cancel_requested INTEGER NOT NULL, lease_token TEXT NOT NULL,
  lease_worker TEXT NOT NULL, lease_local INTEGER NOT NULL, lease_expire_time_us INTEGER NOT NULL,
  checkpoint TEXT NOT NULL, handed_in_sha256 TEXT NOT NULL, handed_in_size_bytes INTEGER NOT NULL);
CREATE INDEX jobs_state ON jobs(state, number);
CREATE TABLE reports(job INTEGER PRIMARY KEY NOT NULL, report_json TEXT NOT NULL);
CREATE TABLE events(
  job INTEGER NOT NULL REFERENCES jobs(number) ON DELETE CASCADE, sequence INTEGER NOT NULL,
  time_us INTEGER NOT NULL, attempt INTEGER NOT NULL, payload BLOB NOT NULL,
  PRIMARY KEY(job, sequence)) WITHOUT ROWID;
CREATE TABLE requests(
  request_id TEXT PRIMARY KEY NOT NULL, content_sha256 TEXT NOT NULL, resource TEXT NOT NULL,
  create_time_us INTEGER NOT NULL) WITHOUT ROWID;
)sql";

constexpr char kFromVersion1[] =
    "ALTER TABLE models ADD COLUMN previous_version INTEGER NOT NULL DEFAULT 0";

}  // namespace

Status PrepareSchema(SQLite::Database& database) {
  SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
  const int version = database.execAndGet("PRAGMA user_version").getInt();
  if (version == kSchemaVersion) return {};
  if (version > kSchemaVersion) {
    return Unsupported("{} has schema version {}, this program knows versions up to {}",
                       database.getFilename(), version, kSchemaVersion);
  }
  if (version == 1) {
    database.exec(kFromVersion1);
    database.exec(fmt::format("PRAGMA user_version = {}", kSchemaVersion));
    transaction.commit();
    return {};
  }
  if (database.execAndGet("SELECT count(*) FROM sqlite_master").getInt() != 0) {
    return DataLoss("{} is a database, but not one of haq-server", database.getFilename());
  }
  database.exec(kTables);
  database.exec(fmt::format("PRAGMA user_version = {}", kSchemaVersion));
  transaction.commit();
  return {};
}

}  // namespace haq::server::store
