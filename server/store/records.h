// The rows of the metadata store. docs/job_store.md describes the tables. Identifiers are without
// their collection ("resnet20", not "models/resnet20"); times are microseconds since 1970 UTC, 0
// when they have not come yet.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace haq::server::store {

struct ModelRecord {
  std::string id;
  std::string format;  // "torchscript" or "onnx"
  std::string sha256;
  int64_t size_bytes = 0;
  std::vector<int64_t> input_shape;  // [C, H, W]
  std::string preprocess_json;
  std::vector<std::string> class_names;
  int64_t create_time_us = 0;
  int64_t last_version = 0;      // the newest quantized version; 0: none
  int64_t served_version = 0;    // 0: none
  int64_t previous_version = 0;  // served before the present one; 0: none
};

struct ShardRecord {
  std::string sha256;
  int64_t size_bytes = 0;
  int64_t images = 0;
};

struct DatasetRecord {
  std::string id;
  std::vector<ShardRecord> shards;
  int64_t images = 0;
  int64_t size_bytes = 0;
  bool labelled = false;
  int64_t max_label = -1;
  std::vector<std::string> class_names;
  int64_t create_time_us = 0;
};

struct ArtifactRecord {
  std::string model_id;
  int64_t version = 0;
  int64_t job = 0;
  std::string sha256;
  int64_t size_bytes = 0;
  int64_t create_time_us = 0;
};

// The numbers are those of haq.v1.JobState and of the rows.
enum class JobState : int {
  kNone = 0,       // where a job comes from that is new; never stored
  kQueued = 1,     // waits for a worker
  kRunning = 2,    // a worker holds its lease
  kSucceeded = 3,  // its artifact is registered
  kFailed = 4,     // `error` says why
  kCancelled = 5,  // somebody asked for it
};

struct LeaseRecord {
  std::string token;   // secret of the holder; empty: nobody
  std::string worker;  // its name
  bool local = false;  // a process of this machine that dies with the server
  int64_t expire_time_us = 0;
};

struct JobRecord {
  int64_t number = 0;  // jobs/{number}, given by InsertJob: 1, 2, ...
  std::string model_id;
  std::string calibration_dataset;
  std::string evaluation_dataset;
  std::string spec;  // bytes of haq.v1.CalibrationSpec
  JobState state = JobState::kQueued;
  std::string error;       // of a failed job
  std::string error_code;  // StatusCodeName
  int64_t attempt = 0;     // how often a worker took it
  int64_t lost = 0;        // attempts that ended with neither result nor failure
  int64_t create_time_us = 0;
  int64_t start_time_us = 0;
  int64_t end_time_us = 0;
  int64_t artifact_version = 0;  // of a succeeded job
  std::string progress;          // bytes of the latest haq.v1.Progress
  std::string accuracy;          // bytes of the latest haq.v1.Accuracy
  int64_t last_sequence = 0;
  bool cancel_requested = false;
  LeaseRecord lease;
  std::string checkpoint;        // file name in the folder of checkpoints; empty: none
  std::string handed_in_sha256;  // an artifact that was verified and waits for CompleteJob
  int64_t handed_in_size_bytes = 0;
};

struct EventRecord {
  int64_t sequence = 0;
  int64_t time_us = 0;
  int64_t attempt = 0;
  std::string payload;  // bytes of haq.v1.JobEvent
};

// What an idempotent request made.
struct RequestRecord {
  std::string request_id;
  std::string content_sha256;  // of the request without its id
  std::string resource;        // name of what it made
  int64_t create_time_us = 0;
};

}  // namespace haq::server::store
