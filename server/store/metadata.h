// The metadata store: what exists, and what happened to it. One interface, so that SQLite can be
// followed by PostgreSQL.
//
// Everything happens in transactions. A failure of the database inside a transaction is remembered
// by it: the operation returns an empty answer, nothing that follows is stored, and Read or Write
// returns the failure whatever the function returned.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "server/store/records.h"

namespace haq::server::store {

// A page of a list: at most `limit` rows after the row with the key `after` ("" or 0: the first).
class Transaction {
 public:
  virtual ~Transaction() = default;

  virtual std::optional<ModelRecord> FindModel(const std::string& id) = 0;
  virtual std::vector<ModelRecord> ListModels(const std::string& after, int64_t limit) = 0;
  virtual int64_t CountModels() = 0;
  virtual void InsertModel(const ModelRecord& model) = 0;
  // A served version that changes is the previous one from now on.
  virtual void SetVersions(const std::string& id, int64_t last, int64_t served) = 0;
  // With its artifacts.
  virtual void DeleteModel(const std::string& id) = 0;

  virtual std::optional<DatasetRecord> FindDataset(const std::string& id) = 0;
  virtual std::vector<DatasetRecord> ListDatasets(const std::string& after, int64_t limit) = 0;
  virtual int64_t CountDatasets() = 0;
  virtual void InsertDataset(const DatasetRecord& dataset) = 0;
  virtual void DeleteDataset(const std::string& id) = 0;

  virtual std::optional<ArtifactRecord> FindArtifact(const std::string& model_id,
                                                     int64_t version) = 0;
  // By model, then version. `model_id` empty: of all models.
  virtual std::vector<ArtifactRecord> ListArtifacts(const std::string& model_id,
                                                    const std::string& after_model,
                                                    int64_t after_version, int64_t limit) = 0;
  virtual void InsertArtifact(const ArtifactRecord& artifact) = 0;

  // True when a model, a shard, an artifact or an artifact that was handed in has that content;
  // also when the database failed, so that nothing is removed by mistake.
  virtual bool IsReferenced(const std::string& sha256) = 0;

  // Gives the job its number, and returns it.
  virtual int64_t InsertJob(const JobRecord& job) = 0;
  // Replaces everything but the number.
  virtual void UpdateJob(const JobRecord& job) = 0;
  virtual std::optional<JobRecord> FindJob(int64_t number) = 0;
  // Newest first: numbers below `before` (0: all), and only those in `state` unless it is kNone.
  virtual std::vector<JobRecord> ListJobs(JobState state, int64_t before, int64_t limit) = 0;
  virtual int64_t CountJobs(JobState state) = 0;
  // The queued job that has waited longest.
  virtual std::optional<JobRecord> NextQueuedJob() = 0;
  virtual std::vector<JobRecord> RunningJobs() = 0;
  // Queued and running jobs that use the model or dataset.
  virtual std::vector<JobRecord> ActiveJobsOfModel(const std::string& id) = 0;
  virtual std::vector<JobRecord> ActiveJobsOfDataset(const std::string& id) = 0;
  virtual void InsertReport(int64_t job, const std::string& report_json) = 0;
  virtual std::string FindReport(int64_t job) = 0;

  virtual void InsertEvent(int64_t job, const EventRecord& event) = 0;
  // In order, from `from_sequence` on.
  virtual std::vector<EventRecord> ListEvents(int64_t job, int64_t from_sequence,
                                              int64_t limit) = 0;

  virtual std::optional<RequestRecord> FindRequest(const std::string& request_id) = 0;
  virtual void InsertRequest(const RequestRecord& request) = 0;
  virtual void DeleteRequestsBefore(int64_t time_us) = 0;
};

using TransactionFunction = std::function<Status(Transaction&)>;

// Thread-safe.
class Metadata {
 public:
  virtual ~Metadata() = default;
  // Sees one state of the store. The function must not change anything.
  virtual Status Read(const TransactionFunction& function) = 0;
  // All of it or, when the function or the database fails, nothing. After OK it survives a power
  // cut. One at a time; the function must not call Read or Write.
  virtual Status Write(const TransactionFunction& function) = 0;
};

}  // namespace haq::server::store
