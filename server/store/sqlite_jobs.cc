// Jobs, their events and reports.
#include "server/store/sqlite_query.h"
#include "server/store/sqlite_transaction.h"

namespace haq::server::store {
namespace {

constexpr char kJobColumns[] =
    "number, model, calibration_dataset, evaluation_dataset, spec, state, error, error_code, "
    "attempt, lost, create_time_us, start_time_us, end_time_us, artifact_version, progress, "
    "accuracy, last_sequence, cancel_requested, lease_token, lease_worker, lease_local, "
    "lease_expire_time_us, checkpoint, handed_in_sha256, handed_in_size_bytes";

JobRecord ReadJob(SQLite::Statement& s) {
  JobRecord job;
  int column = 0;
  const auto number = [&] { return s.getColumn(column++).getInt64(); };
  const auto text = [&] { return s.getColumn(column++).getString(); };
  job.number = number();
  job.model_id = text();
  job.calibration_dataset = text();
  job.evaluation_dataset = text();
  job.spec = text();
  job.state = static_cast<JobState>(number());
  job.error = text();
  job.error_code = text();
  job.attempt = number();
  job.lost = number();
  job.create_time_us = number();
  job.start_time_us = number();
  job.end_time_us = number();
  job.artifact_version = number();
  job.progress = text();
  job.accuracy = text();
  job.last_sequence = number();
  job.cancel_requested = number() != 0;
  job.lease.token = text();
  job.lease.worker = text();
  job.lease.local = number() != 0;
  job.lease.expire_time_us = number();
  job.checkpoint = text();
  job.handed_in_sha256 = text();
  job.handed_in_size_bytes = number();
  return job;
}

EventRecord ReadEvent(SQLite::Statement& s) {
  return {s.getColumn(0).getInt64(), s.getColumn(1).getInt64(), s.getColumn(2).getInt64(),
          s.getColumn(3).getString()};
}

constexpr int64_t kQueued = static_cast<int64_t>(JobState::kQueued);
constexpr int64_t kRunning = static_cast<int64_t>(JobState::kRunning);

std::string SelectJobs(std::string_view where) {
  return fmt::format("SELECT {} FROM jobs WHERE {}", kJobColumns, where);
}

}  // namespace

int64_t SqliteTransaction::InsertJob(const JobRecord& job) {
  Execute(
      "INSERT INTO jobs VALUES(NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
      "?, ?, ?, ?)",
      job.model_id, job.calibration_dataset, job.evaluation_dataset, BlobValue{job.spec},
      static_cast<int64_t>(job.state), job.error, job.error_code, job.attempt, job.lost,
      job.create_time_us, job.start_time_us, job.end_time_us, job.artifact_version,
      BlobValue{job.progress}, BlobValue{job.accuracy}, job.last_sequence,
      int64_t{job.cancel_requested}, job.lease.token, job.lease.worker, int64_t{job.lease.local},
      job.lease.expire_time_us, job.checkpoint, job.handed_in_sha256, job.handed_in_size_bytes);
  return QueryNumber("SELECT last_insert_rowid()");
}

void SqliteTransaction::UpdateJob(const JobRecord& job) {
  Execute(
      "UPDATE jobs SET model = ?, calibration_dataset = ?, evaluation_dataset = ?, spec = ?, "
      "state = ?, error = ?, error_code = ?, attempt = ?, lost = ?, create_time_us = ?, "
      "start_time_us = ?, end_time_us = ?, artifact_version = ?, progress = ?, accuracy = ?, "
      "last_sequence = ?, cancel_requested = ?, lease_token = ?, lease_worker = ?, "
      "lease_local = ?, lease_expire_time_us = ?, checkpoint = ?, handed_in_sha256 = ?, "
      "handed_in_size_bytes = ? WHERE number = ?",
      job.model_id, job.calibration_dataset, job.evaluation_dataset, BlobValue{job.spec},
      static_cast<int64_t>(job.state), job.error, job.error_code, job.attempt, job.lost,
      job.create_time_us, job.start_time_us, job.end_time_us, job.artifact_version,
      BlobValue{job.progress}, BlobValue{job.accuracy}, job.last_sequence,
      int64_t{job.cancel_requested}, job.lease.token, job.lease.worker, int64_t{job.lease.local},
      job.lease.expire_time_us, job.checkpoint, job.handed_in_sha256, job.handed_in_size_bytes,
      job.number);
}

std::optional<JobRecord> SqliteTransaction::FindJob(int64_t number) {
  static const std::string sql = SelectJobs("number = ?");
  return First(Query(sql.c_str(), ReadJob, number));
}

std::vector<JobRecord> SqliteTransaction::ListJobs(JobState state, int64_t before, int64_t limit) {
  static const std::string sql = SelectJobs(
      "(?1 = 0 OR state = ?1) AND (?2 = 0 OR number < ?2) ORDER BY number DESC LIMIT ?3");
  return Query(sql.c_str(), ReadJob, static_cast<int64_t>(state), before, limit);
}

int64_t SqliteTransaction::CountJobs(JobState state) {
  return QueryNumber("SELECT count(*) FROM jobs WHERE ?1 = 0 OR state = ?1",
                     static_cast<int64_t>(state));
}

std::optional<JobRecord> SqliteTransaction::NextQueuedJob() {
  static const std::string sql = SelectJobs("state = ? ORDER BY number LIMIT 1");
  return First(Query(sql.c_str(), ReadJob, kQueued));
}

std::vector<JobRecord> SqliteTransaction::RunningJobs() {
  static const std::string sql = SelectJobs("state = ? ORDER BY number");
  return Query(sql.c_str(), ReadJob, kRunning);
}

std::vector<JobRecord> SqliteTransaction::ActiveJobsOfModel(const std::string& id) {
  static const std::string sql =
      SelectJobs(fmt::format("state IN ({}, {}) AND model = ? ORDER BY number", kQueued, kRunning));
  return Query(sql.c_str(), ReadJob, id);
}

std::vector<JobRecord> SqliteTransaction::ActiveJobsOfDataset(const std::string& id) {
  static const std::string sql = SelectJobs(
      fmt::format("state IN ({}, {}) AND (calibration_dataset = ?1 OR evaluation_dataset = ?1) "
                  "ORDER BY number",
                  kQueued, kRunning));
  return Query(sql.c_str(), ReadJob, id);
}

void SqliteTransaction::InsertReport(int64_t job, const std::string& report_json) {
  Execute("INSERT INTO reports VALUES(?, ?)", job, report_json);
}

std::string SqliteTransaction::FindReport(int64_t job) {
  const auto read = [](SQLite::Statement& s) { return s.getColumn(0).getString(); };
  return First(Query("SELECT report_json FROM reports WHERE job = ?", read, job)).value_or("");
}

void SqliteTransaction::InsertEvent(int64_t job, const EventRecord& event) {
  Execute("INSERT INTO events VALUES(?, ?, ?, ?, ?)", job, event.sequence, event.time_us,
          event.attempt, BlobValue{event.payload});
}

std::vector<EventRecord> SqliteTransaction::ListEvents(int64_t job, int64_t from_sequence,
                                                       int64_t limit) {
  return Query(
      "SELECT sequence, time_us, attempt, payload FROM events WHERE job = ? AND sequence >= ? "
      "ORDER BY sequence LIMIT ?",
      ReadEvent, job, from_sequence, limit);
}

}  // namespace haq::server::store
