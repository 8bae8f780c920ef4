#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "server/store/sqlite_metadata.h"
#include "testing.h"

namespace haq::server::store {
namespace {

using testing::HasSubstr;

class MetadataTest : public testing::Test {
 protected:
  MetadataTest() { Open(); }
  void Open() {
    metadata_.reset();
    auto metadata = OpenSqliteMetadata(path_);
    ASSERT_TRUE(metadata.ok()) << metadata.status().ToString();
    metadata_ = *std::move(metadata);
  }
  template <typename Function>
  void Write(Function function) {
    const Status status = metadata_->Write([&](Transaction& transaction) -> Status {
      function(transaction);
      return {};
    });
    ASSERT_TRUE(status.ok()) << status.ToString();
  }
  template <typename Function>
  void Read(Function function) {
    const Status status = metadata_->Read([&](Transaction& transaction) -> Status {
      function(transaction);
      return {};
    });
    ASSERT_TRUE(status.ok()) << status.ToString();
  }

  static ModelRecord Model(const std::string& id) {
    return {
        id, "torchscript", "sha-" + id, 12, {3, 8, 8}, R"({"a": 1})", {"cat", "d\"og"}, 77, 0, 0,
        0};
  }

  test::TempFolder folder_;
  std::filesystem::path path_ = folder_.path() / "haq.sqlite";
  std::unique_ptr<Metadata> metadata_;
};

TEST_F(MetadataTest, ModelsAndArtifactsSurviveReopening) {
  Write([](Transaction& t) {
    t.InsertModel(Model("a"));
    t.InsertModel(Model("b"));
    t.InsertArtifact({"b", 1, 9, "sha-v1", 100, 5});
    t.InsertArtifact({"b", 2, 10, "sha-v2", 200, 6});
    t.SetVersions("b", 2, 1);
  });
  Open();
  Read([](Transaction& t) {
    EXPECT_EQ(t.CountModels(), 2);
    const auto model = t.FindModel("b");
    ASSERT_TRUE(model);
    EXPECT_EQ(model->input_shape, (std::vector<int64_t>{3, 8, 8}));
    EXPECT_EQ(model->class_names, (std::vector<std::string>{"cat", "d\"og"}));
    EXPECT_EQ(model->preprocess_json, R"({"a": 1})");
    EXPECT_EQ(model->create_time_us, 77);
    EXPECT_EQ(model->last_version, 2);
    EXPECT_EQ(model->served_version, 1);
    EXPECT_FALSE(t.FindModel("c"));
    EXPECT_EQ(t.FindArtifact("b", 2)->sha256, "sha-v2");
    EXPECT_EQ(t.ListArtifacts("", "", 0, 10).size(), 2u);
    EXPECT_EQ(t.ListArtifacts("b", "b", 1, 10).size(), 1u);
    EXPECT_EQ(t.ListModels("a", 10).size(), 1u);
    EXPECT_TRUE(t.IsReferenced("sha-v1"));
  });
  Write([](Transaction& t) { t.DeleteModel("b"); });
  Read([](Transaction& t) {
    EXPECT_FALSE(t.FindModel("b"));
    EXPECT_FALSE(t.FindArtifact("b", 1)) << "artifacts go with their model";
    EXPECT_FALSE(t.IsReferenced("sha-v1"));
    EXPECT_TRUE(t.IsReferenced("sha-a"));
  });
}

TEST_F(MetadataTest, DatasetsKeepTheOrderOfTheirShards) {
  DatasetRecord dataset{"d", {{"z", 1, 2}, {"a", 3, 4}, {"m", 5, 6}}, 12, 9, true, 41, {}, 8};
  Write([&](Transaction& t) { t.InsertDataset(dataset); });
  Open();
  Read([](Transaction& t) {
    const auto found = t.FindDataset("d");
    ASSERT_TRUE(found);
    ASSERT_EQ(found->shards.size(), 3u);
    EXPECT_EQ(found->shards[0].sha256, "z");
    EXPECT_EQ(found->shards[1].sha256, "a");
    EXPECT_EQ(found->shards[2].images, 6);
    EXPECT_TRUE(found->labelled);
    EXPECT_EQ(found->max_label, 41);
    EXPECT_TRUE(t.IsReferenced("m"));
    EXPECT_EQ(t.ListDatasets("", 10).front().shards.size(), 3u);
  });
  Write([](Transaction& t) { t.DeleteDataset("d"); });
  Read([](Transaction& t) { EXPECT_FALSE(t.IsReferenced("m")); });
}

TEST_F(MetadataTest, EveryFieldOfAJobComesBack) {
  JobRecord job;
  job.model_id = "m";
  job.calibration_dataset = "c";
  job.evaluation_dataset = "e";
  job.spec = std::string("\0\x01spec", 6);
  job.state = JobState::kRunning;
  job.error = "err";
  job.error_code = "CODE";
  job.attempt = 1;
  job.lost = 2;
  job.create_time_us = 3;
  job.start_time_us = 4;
  job.end_time_us = 5;
  job.artifact_version = 6;
  job.progress = std::string("\0p", 2);
  job.accuracy = std::string("\0a", 2);
  job.last_sequence = 7;
  job.cancel_requested = true;
  job.lease = {"token", "worker", true, 8};
  job.checkpoint = "file";
  job.handed_in_sha256 = "sha";
  job.handed_in_size_bytes = 9;
  const auto expect_same = [&](const JobRecord& found) {
    EXPECT_EQ(found.model_id, job.model_id);
    EXPECT_EQ(found.calibration_dataset, job.calibration_dataset);
    EXPECT_EQ(found.evaluation_dataset, job.evaluation_dataset);
    EXPECT_EQ(found.spec, job.spec);
    EXPECT_EQ(found.state, job.state);
    EXPECT_EQ(found.error, job.error);
    EXPECT_EQ(found.error_code, job.error_code);
    EXPECT_EQ(found.attempt, job.attempt);
    EXPECT_EQ(found.lost, job.lost);
    EXPECT_EQ(found.create_time_us, job.create_time_us);
    EXPECT_EQ(found.start_time_us, job.start_time_us);
    EXPECT_EQ(found.end_time_us, job.end_time_us);
    EXPECT_EQ(found.artifact_version, job.artifact_version);
    EXPECT_EQ(found.progress, job.progress);
    EXPECT_EQ(found.accuracy, job.accuracy);
    EXPECT_EQ(found.last_sequence, job.last_sequence);
    EXPECT_EQ(found.cancel_requested, job.cancel_requested);
    EXPECT_EQ(found.lease.token, job.lease.token);
    EXPECT_EQ(found.lease.worker, job.lease.worker);
    EXPECT_EQ(found.lease.local, job.lease.local);
    EXPECT_EQ(found.lease.expire_time_us, job.lease.expire_time_us);
    EXPECT_EQ(found.checkpoint, job.checkpoint);
    EXPECT_EQ(found.handed_in_sha256, job.handed_in_sha256);
    EXPECT_EQ(found.handed_in_size_bytes, job.handed_in_size_bytes);
  };
  Write([&](Transaction& t) { EXPECT_EQ(t.InsertJob(job), 1); });
  Read([&](Transaction& t) { expect_same(*t.FindJob(1)); });
  JobRecord empty;
  empty.number = 1;
  Write([&](Transaction& t) { t.UpdateJob(empty); });
  Read([&](Transaction& t) { EXPECT_EQ(t.FindJob(1)->lease.token, ""); });
  job.number = 1;
  Write([&](Transaction& t) { t.UpdateJob(job); });
  Read([&](Transaction& t) { expect_same(*t.FindJob(1)); });
}

TEST_F(MetadataTest, QueuesAndListsOfJobs) {
  Write([](Transaction& t) {
    for (int i = 1; i <= 5; ++i) {
      JobRecord job;
      job.model_id = i % 2 == 0 ? "even" : "odd";
      job.calibration_dataset = "c";
      job.evaluation_dataset = i == 5 ? "last" : "e";
      job.state = i == 1 ? JobState::kFailed : i == 2 ? JobState::kRunning : JobState::kQueued;
      EXPECT_EQ(t.InsertJob(job), i);
    }
  });
  Read([](Transaction& t) {
    EXPECT_EQ(t.NextQueuedJob()->number, 3);
    EXPECT_EQ(t.RunningJobs().size(), 1u);
    EXPECT_EQ(t.CountJobs(JobState::kQueued), 3);
    EXPECT_EQ(t.CountJobs(JobState::kNone), 5);
    const auto all = t.ListJobs(JobState::kNone, 0, 3);
    ASSERT_EQ(all.size(), 3u);
    EXPECT_EQ(all[0].number, 5);
    EXPECT_EQ(t.ListJobs(JobState::kQueued, 4, 10).size(), 1u);
    EXPECT_EQ(t.ActiveJobsOfModel("odd").size(), 2u) << "job 1 has ended";
    EXPECT_EQ(t.ActiveJobsOfDataset("c").size(), 4u);
    EXPECT_EQ(t.ActiveJobsOfDataset("last").size(), 1u);
  });
}

TEST_F(MetadataTest, EventsReportsAndRequests) {
  Write([](Transaction& t) {
    const int64_t job = t.InsertJob({});
    for (int i = 1; i <= 4; ++i) t.InsertEvent(job, {i, i * 10, 1, std::string(1, '\0')});
    t.InsertReport(job, "{}");
    t.InsertRequest({"id", "digest", "jobs/1", 100});
  });
  Open();
  Read([](Transaction& t) {
    EXPECT_EQ(t.ListEvents(1, 2, 2).size(), 2u);
    EXPECT_EQ(t.ListEvents(1, 2, 2)[0].sequence, 2);
    EXPECT_EQ(t.ListEvents(1, 4, 9)[0].payload, std::string(1, '\0'));
    EXPECT_EQ(t.FindReport(1), "{}");
    EXPECT_EQ(t.FindReport(2), "");
    EXPECT_EQ(t.FindRequest("id")->resource, "jobs/1");
    EXPECT_FALSE(t.FindRequest("other"));
  });
  Write([](Transaction& t) { t.DeleteRequestsBefore(101); });
  Read([](Transaction& t) { EXPECT_FALSE(t.FindRequest("id")); });
}

TEST_F(MetadataTest, AFailedTransactionLeavesNothing) {
  Status status = metadata_->Write([](Transaction& t) -> Status {
    t.InsertModel(Model("a"));
    return InvalidArgument("no");
  });
  EXPECT_EQ(status.ToString(), "INVALID_ARGUMENT: no");
  // A failure of the database wins over the function's OK, and silences what follows.
  status = metadata_->Write([](Transaction& t) -> Status {
    t.InsertModel(Model("b"));
    t.InsertModel(Model("b"));
    EXPECT_TRUE(t.IsReferenced("nothing")) << "nobody may delete after a failure";
    EXPECT_FALSE(t.FindModel("b"));
    t.InsertModel(Model("c"));
    return {};
  });
  EXPECT_EQ(status.code(), StatusCode::kInternal);
  EXPECT_THAT(status.message(), HasSubstr("UNIQUE"));
  status = metadata_->Read([](Transaction& t) -> Status {
    t.InsertModel(Model("d"));
    return {};
  });
  EXPECT_FALSE(status.ok()) << "a read must not write";
  Read([](Transaction& t) { EXPECT_EQ(t.CountModels(), 0); });
  Write([](Transaction& t) { t.InsertModel(Model("e")); });
}

TEST_F(MetadataTest, ReadersAndWritersInParallel) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this, i] {
      for (int j = 0; j < 20; ++j) {
        Write([&](Transaction& t) { t.InsertModel(Model(fmt::format("m{}-{}", i, j))); });
        Read([&](Transaction& t) { EXPECT_TRUE(t.FindModel(fmt::format("m{}-{}", i, j))); });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  Read([](Transaction& t) { EXPECT_EQ(t.CountModels(), 80); });
}

TEST_F(MetadataTest, FilesThatAreNotOurs) {
  metadata_.reset();
  std::ofstream(path_, std::ios::trunc) << std::string(8192, 'x');
  EXPECT_EQ(OpenSqliteMetadata(path_).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(OpenSqliteMetadata(folder_.path()).status().code(), StatusCode::kFailedPrecondition);
  const auto other = folder_.path() / "other.sqlite";
  {
    SQLite::Database(other.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE)
        .exec("CREATE TABLE x(y)");
  }
  EXPECT_EQ(OpenSqliteMetadata(other).status().code(), StatusCode::kDataLoss);
}

TEST_F(MetadataTest, TheVersionBeforeIsKept) {
  Write([](Transaction& t) {
    t.InsertModel(Model("a"));
    t.SetVersions("a", 1, 1);
    EXPECT_EQ(t.FindModel("a")->previous_version, 0);
    t.SetVersions("a", 2, 1);  // a version that is not served
    EXPECT_EQ(t.FindModel("a")->previous_version, 0);
    t.SetVersions("a", 3, 3);
  });
  Open();
  Read([](Transaction& t) {
    EXPECT_EQ(t.FindModel("a")->last_version, 3);
    EXPECT_EQ(t.FindModel("a")->served_version, 3);
    EXPECT_EQ(t.FindModel("a")->previous_version, 1);
  });
}

TEST_F(MetadataTest, ADatabaseOfVersion1IsBroughtUpToDate) {
  Write([](Transaction& t) {
    t.InsertModel(Model("a"));
    t.SetVersions("a", 1, 1);
  });
  metadata_.reset();
  {
    SQLite::Database old(path_.string(), SQLite::OPEN_READWRITE);
    old.exec("ALTER TABLE models DROP COLUMN previous_version; PRAGMA user_version = 1");
  }
  Open();
  Write([](Transaction& t) {
    EXPECT_EQ(t.FindModel("a")->previous_version, 0);
    t.SetVersions("a", 2, 2);
    EXPECT_EQ(t.FindModel("a")->previous_version, 1);
  });
}

TEST_F(MetadataTest, ANewerSchemaIsRefused) {
  metadata_.reset();
  { SQLite::Database(path_.string(), SQLite::OPEN_READWRITE).exec("PRAGMA user_version = 99"); }
  const auto result = OpenSqliteMetadata(path_);
  EXPECT_EQ(result.status().code(), StatusCode::kUnsupported);
  EXPECT_THAT(result.status().message(), HasSubstr("99"));
}

}  // namespace
}  // namespace haq::server::store
