// Models, datasets, artifacts and requests; jobs are in sqlite_jobs.cc.
#include "server/store/sqlite_transaction.h"

#include <sqlite3.h>

#include "server/store/sqlite_query.h"

namespace haq::server::store {
namespace {

std::string ToText(const std::vector<std::string>& names) {
  // Names come from outside: replace what is not UTF-8 instead of failing.
  return nlohmann::json(names).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

template <typename T>
std::vector<T> FromText(const SQLite::Column& column) {
  return nlohmann::json::parse(column.getString()).get<std::vector<T>>();
}

constexpr char kModelColumns[] =
    "id, format, sha256, size_bytes, input_shape, preprocess_json, class_names, create_time_us, "
    "last_version, served_version, previous_version";

ModelRecord ReadModel(SQLite::Statement& s) {
  ModelRecord model;
  int column = 0;
  model.id = s.getColumn(column++).getString();
  model.format = s.getColumn(column++).getString();
  model.sha256 = s.getColumn(column++).getString();
  model.size_bytes = s.getColumn(column++).getInt64();
  model.input_shape = FromText<int64_t>(s.getColumn(column++));
  model.preprocess_json = s.getColumn(column++).getString();
  model.class_names = FromText<std::string>(s.getColumn(column++));
  model.create_time_us = s.getColumn(column++).getInt64();
  model.last_version = s.getColumn(column++).getInt64();
  model.served_version = s.getColumn(column++).getInt64();
  model.previous_version = s.getColumn(column++).getInt64();
  return model;
}

constexpr char kDatasetColumns[] =
    "id, images, size_bytes, labelled, max_label, class_names, create_time_us";

DatasetRecord ReadDataset(SQLite::Statement& s) {
  DatasetRecord dataset;
  int column = 0;
  dataset.id = s.getColumn(column++).getString();
  dataset.images = s.getColumn(column++).getInt64();
  dataset.size_bytes = s.getColumn(column++).getInt64();
  dataset.labelled = s.getColumn(column++).getInt64() != 0;
  dataset.max_label = s.getColumn(column++).getInt64();
  dataset.class_names = FromText<std::string>(s.getColumn(column++));
  dataset.create_time_us = s.getColumn(column++).getInt64();
  return dataset;
}

constexpr char kArtifactColumns[] = "model, version, job, sha256, size_bytes, create_time_us";

ArtifactRecord ReadArtifact(SQLite::Statement& s) {
  ArtifactRecord artifact;
  int column = 0;
  artifact.model_id = s.getColumn(column++).getString();
  artifact.version = s.getColumn(column++).getInt64();
  artifact.job = s.getColumn(column++).getInt64();
  artifact.sha256 = s.getColumn(column++).getString();
  artifact.size_bytes = s.getColumn(column++).getInt64();
  artifact.create_time_us = s.getColumn(column++).getInt64();
  return artifact;
}

RequestRecord ReadRequest(SQLite::Statement& s) {
  return {s.getColumn(0).getString(), s.getColumn(1).getString(), s.getColumn(2).getString(),
          s.getColumn(3).getInt64()};
}

}  // namespace

Status StatusOf(const SQLite::Exception& exception, const std::string& path) {
  const std::string message = fmt::format("database {}: {}", path, exception.what());
  switch (exception.getErrorCode()) {
    case SQLITE_FULL:
      return {StatusCode::kResourceExhausted, message};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {StatusCode::kDataLoss, message};
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
      return {StatusCode::kFailedPrecondition, message};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {StatusCode::kUnavailable, message};
    default:
      return {StatusCode::kInternal, message};
  }
}

std::optional<ModelRecord> SqliteTransaction::FindModel(const std::string& id) {
  static const std::string sql = fmt::format("SELECT {} FROM models WHERE id = ?", kModelColumns);
  return First(Query(sql.c_str(), ReadModel, id));
}

std::vector<ModelRecord> SqliteTransaction::ListModels(const std::string& after, int64_t limit) {
  static const std::string sql =
      fmt::format("SELECT {} FROM models WHERE id > ? ORDER BY id LIMIT ?", kModelColumns);
  return Query(sql.c_str(), ReadModel, after, limit);
}

int64_t SqliteTransaction::CountModels() { return QueryNumber("SELECT count(*) FROM models"); }

void SqliteTransaction::InsertModel(const ModelRecord& model) {
  Execute("INSERT INTO models VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", model.id, model.format,
          model.sha256, model.size_bytes, nlohmann::json(model.input_shape).dump(),
          model.preprocess_json, ToText(model.class_names), model.create_time_us,
          model.last_version, model.served_version, model.previous_version);
}

void SqliteTransaction::SetVersions(const std::string& id, int64_t last, int64_t served) {
  // On the right side of an assignment stand the values before the update.
  Execute(
      "UPDATE models SET previous_version = CASE WHEN served_version = ?1 THEN previous_version "
      "ELSE served_version END, served_version = ?1, last_version = ?2 WHERE id = ?3",
      served, last, id);
}

void SqliteTransaction::DeleteModel(const std::string& id) {
  Execute("DELETE FROM models WHERE id = ?", id);
}

std::optional<DatasetRecord> SqliteTransaction::FindDataset(const std::string& id) {
  static const std::string sql =
      fmt::format("SELECT {} FROM datasets WHERE id = ?", kDatasetColumns);
  auto dataset = First(Query(sql.c_str(), ReadDataset, id));
  if (dataset) ReadShards(*dataset);
  return dataset;
}

std::vector<DatasetRecord> SqliteTransaction::ListDatasets(const std::string& after,
                                                           int64_t limit) {
  static const std::string sql =
      fmt::format("SELECT {} FROM datasets WHERE id > ? ORDER BY id LIMIT ?", kDatasetColumns);
  auto datasets = Query(sql.c_str(), ReadDataset, after, limit);
  for (DatasetRecord& dataset : datasets) ReadShards(dataset);
  return datasets;
}

void SqliteTransaction::ReadShards(DatasetRecord& dataset) {
  const auto read = [](SQLite::Statement& s) {
    return ShardRecord{s.getColumn(0).getString(), s.getColumn(1).getInt64(),
                       s.getColumn(2).getInt64()};
  };
  dataset.shards =
      Query("SELECT sha256, size_bytes, images FROM shards WHERE dataset = ? ORDER BY position",
            read, dataset.id);
}

int64_t SqliteTransaction::CountDatasets() { return QueryNumber("SELECT count(*) FROM datasets"); }

void SqliteTransaction::InsertDataset(const DatasetRecord& dataset) {
  Execute("INSERT INTO datasets VALUES(?, ?, ?, ?, ?, ?, ?)", dataset.id, dataset.images,
          dataset.size_bytes, int64_t{dataset.labelled}, dataset.max_label,
          ToText(dataset.class_names), dataset.create_time_us);
  int64_t position = 0;
  for (const ShardRecord& shard : dataset.shards) {
    Execute("INSERT INTO shards VALUES(?, ?, ?, ?, ?)", dataset.id, position++, shard.sha256,
            shard.size_bytes, shard.images);
  }
}

void SqliteTransaction::DeleteDataset(const std::string& id) {
  Execute("DELETE FROM datasets WHERE id = ?", id);
}

std::optional<ArtifactRecord> SqliteTransaction::FindArtifact(const std::string& model_id,
                                                              int64_t version) {
  static const std::string sql =
      fmt::format("SELECT {} FROM artifacts WHERE model = ? AND version = ?", kArtifactColumns);
  return First(Query(sql.c_str(), ReadArtifact, model_id, version));
}

std::vector<ArtifactRecord> SqliteTransaction::ListArtifacts(const std::string& model_id,
                                                             const std::string& after_model,
                                                             int64_t after_version, int64_t limit) {
  static const std::string sql = fmt::format(
      "SELECT {} FROM artifacts WHERE (?1 = '' OR model = ?1) AND (model, version) > (?2, ?3) "
      "ORDER BY model, version LIMIT ?4",
      kArtifactColumns);
  return Query(sql.c_str(), ReadArtifact, model_id, after_model, after_version, limit);
}

void SqliteTransaction::InsertArtifact(const ArtifactRecord& artifact) {
  Execute("INSERT INTO artifacts VALUES(?, ?, ?, ?, ?, ?)", artifact.model_id, artifact.version,
          artifact.job, artifact.sha256, artifact.size_bytes, artifact.create_time_us);
}

bool SqliteTransaction::IsReferenced(const std::string& sha256) {
  const int64_t references = QueryNumber(
      "SELECT EXISTS(SELECT 1 FROM models WHERE sha256 = ?1) "
      "OR EXISTS(SELECT 1 FROM shards WHERE sha256 = ?1) "
      "OR EXISTS(SELECT 1 FROM artifacts WHERE sha256 = ?1) "
      "OR EXISTS(SELECT 1 FROM jobs WHERE state = 2 AND handed_in_sha256 = ?1)",
      sha256);
  return references != 0 || !status_.ok();
}

std::optional<RequestRecord> SqliteTransaction::FindRequest(const std::string& request_id) {
  return First(
      Query("SELECT request_id, content_sha256, resource, create_time_us FROM requests "
            "WHERE request_id = ?",
            ReadRequest, request_id));
}

void SqliteTransaction::InsertRequest(const RequestRecord& request) {
  Execute("INSERT INTO requests VALUES(?, ?, ?, ?)", request.request_id, request.content_sha256,
          request.resource, request.create_time_us);
}

void SqliteTransaction::DeleteRequestsBefore(int64_t time_us) {
  Execute("DELETE FROM requests WHERE create_time_us < ?", time_us);
}

}  // namespace haq::server::store
