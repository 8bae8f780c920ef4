// The SQL of one transaction of the SQLite store.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include "server/store/metadata.h"

namespace haq::server::store {

// kResourceExhausted for a full disk, kDataLoss for a damaged file, kFailedPrecondition when it
// cannot be opened or written, kInternal otherwise; names the file.
Status StatusOf(const SQLite::Exception& exception, const std::string& path);

// Lives inside a transaction that its maker began; not thread-safe.
class SqliteTransaction : public Transaction {
 public:
  explicit SqliteTransaction(SQLite::Database& database) : database_(database) {}

  // The first failure of the database.
  const Status& status() const { return status_; }

  std::optional<ModelRecord> FindModel(const std::string& id) override;
  std::vector<ModelRecord> ListModels(const std::string& after, int64_t limit) override;
  int64_t CountModels() override;
  void InsertModel(const ModelRecord& model) override;
  void SetVersions(const std::string& id, int64_t last, int64_t served) override;
  void DeleteModel(const std::string& id) override;

  std::optional<DatasetRecord> FindDataset(const std::string& id) override;
  std::vector<DatasetRecord> ListDatasets(const std::string& after, int64_t limit) override;
  int64_t CountDatasets() override;
  void InsertDataset(const DatasetRecord& dataset) override;
  void DeleteDataset(const std::string& id) override;

  std::optional<ArtifactRecord> FindArtifact(const std::string& model_id, int64_t version) override;
  std::vector<ArtifactRecord> ListArtifacts(const std::string& model_id,
                                            const std::string& after_model, int64_t after_version,
                                            int64_t limit) override;
  void InsertArtifact(const ArtifactRecord& artifact) override;
  bool IsReferenced(const std::string& sha256) override;

  int64_t InsertJob(const JobRecord& job) override;
  void UpdateJob(const JobRecord& job) override;
  std::optional<JobRecord> FindJob(int64_t number) override;
  std::vector<JobRecord> ListJobs(JobState state, int64_t before, int64_t limit) override;
  int64_t CountJobs(JobState state) override;
  std::optional<JobRecord> NextQueuedJob() override;
  std::vector<JobRecord> RunningJobs() override;
  std::vector<JobRecord> ActiveJobsOfModel(const std::string& id) override;
  std::vector<JobRecord> ActiveJobsOfDataset(const std::string& id) override;
  void InsertReport(int64_t job, const std::string& report_json) override;
  std::string FindReport(int64_t job) override;

  void InsertEvent(int64_t job, const EventRecord& event) override;
  std::vector<EventRecord> ListEvents(int64_t job, int64_t from_sequence, int64_t limit) override;

  std::optional<RequestRecord> FindRequest(const std::string& request_id) override;
  void InsertRequest(const RequestRecord& request) override;
  void DeleteRequestsBefore(int64_t time_us) override;

 private:
  template <typename Function>
  void Guard(Function function);
  template <typename... Values>
  void Execute(const char* sql, const Values&... values);
  template <typename Row, typename... Values>
  auto Query(const char* sql, Row row, const Values&... values);
  template <typename... Values>
  int64_t QueryNumber(const char* sql, const Values&... values);
  void ReadShards(DatasetRecord& dataset);

  SQLite::Database& database_;
  Status status_;
};

}  // namespace haq::server::store
