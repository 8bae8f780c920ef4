// A gRPC server with the public API's blob, job and artifact services in memory, which breaks
// connections when told to: what the client does then is what these tests are about.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "haq/v1/artifacts.grpc.pb.h"
#include "haq/v1/blobs.grpc.pb.h"
#include "haq/v1/jobs.grpc.pb.h"
#include "haq/v1/models.grpc.pb.h"

namespace haq::client {

// Keeps uploads as the protocol says, with their bytes in memory.
class FakeBlobs final : public v1::BlobService::Service {
 public:
  struct Blob {
    int64_t size_bytes = 0;
    std::string bytes;
  };

  grpc::Status StartUpload(grpc::ServerContext*, const v1::StartUploadRequest* request,
                           v1::Upload* response) override;
  grpc::Status WriteUpload(grpc::ServerContext*, grpc::ServerReader<v1::WriteUploadRequest>* reader,
                           v1::Upload* response) override;

  grpc::Status ReadBlob(grpc::ServerContext*, const v1::ReadBlobRequest* request,
                        grpc::ServerWriter<v1::ReadBlobResponse>* writer) override;

  // The next `times` uploads end as UNAVAILABLE after so many messages were kept.
  void BreakAfter(int messages, int times) { break_after_ = messages, breaks_ = times; }
  std::string bytes(const std::string& sha256);
  int64_t received_bytes() const { return received_bytes_; }
  int streams() const { return streams_; }
  bool saw_large_message() const { return saw_large_message_; }

 private:
  void Fill(const std::string& sha256, v1::Upload* upload);

  std::mutex mutex_;
  std::map<std::string, Blob> blobs_;
  std::atomic<int> break_after_{0}, breaks_{0}, streams_{0};
  std::atomic<int64_t> received_bytes_{0};
  std::atomic<bool> saw_large_message_{false};
};

// One job with a list of events.
class FakeJobs final : public v1::JobService::Service {
 public:
  grpc::Status GetJob(grpc::ServerContext*, const v1::GetJobRequest* request,
                      v1::Job* response) override;
  grpc::Status ListJobs(grpc::ServerContext*, const v1::ListJobsRequest* request,
                        v1::ListJobsResponse* response) override;
  grpc::Status WatchJob(grpc::ServerContext* context, const v1::WatchJobRequest* request,
                        grpc::ServerWriter<v1::JobEvent>* writer) override;

  // Progress events, and the end as SUCCEEDED when `ended`.
  void SetEvents(int64_t count, bool ended);
  // Streams break as UNAVAILABLE after so many events, so often.
  void BreakAfter(int events, int times) { break_after_ = events, breaks_ = times; }
  void Skip(int64_t sequence) { skip_ = sequence; }
  void SetReport(std::string report_json) { report_json_ = std::move(report_json); }
  int streams() const { return streams_; }

 private:
  v1::Job Describe() const;

  std::vector<v1::JobEvent> events_;
  bool ended_ = false;
  std::string report_json_;
  int64_t skip_ = 0;
  std::atomic<int> break_after_{0}, breaks_{0}, streams_{0};
};

class FakeArtifacts final : public v1::ArtifactService::Service {
 public:
  grpc::Status GetArtifact(grpc::ServerContext*, const v1::GetArtifactRequest* request,
                           v1::Artifact* response) override;
  grpc::Status DownloadArtifact(grpc::ServerContext*, const v1::DownloadArtifactRequest* request,
                                grpc::ServerWriter<v1::DownloadArtifactResponse>* writer) override;

  void Set(std::string bytes, std::string sha256) {
    bytes_ = std::move(bytes), sha256_ = std::move(sha256);
  }
  void BreakAfter(int messages, int times) { break_after_ = messages, breaks_ = times; }
  const std::vector<int64_t>& offsets() const { return offsets_; }

 private:
  std::string bytes_, sha256_;
  int break_after_ = 0, breaks_ = 0;
  std::vector<int64_t> offsets_;
};

// Fails as often as told, then answers; counts request ids.
class FakeModels final : public v1::ModelService::Service {
 public:
  grpc::Status CreateModel(grpc::ServerContext*, const v1::CreateModelRequest* request,
                           v1::Model* response) override;
  grpc::Status GetModel(grpc::ServerContext*, const v1::GetModelRequest* request,
                        v1::Model* response) override;

  grpc::Status failure;
  int failures = 0;
  std::vector<std::string> request_ids;
};

// All of them on a free port of the loopback interface.
class FakeServer {
 public:
  FakeServer();
  ~FakeServer();
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  void Stop();
  // Listens again on the same port.
  void Restart();

  FakeBlobs blobs;
  FakeJobs jobs;
  FakeArtifacts artifacts;
  FakeModels models;

 private:
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace haq::client
