#include "tests/unit/client/lib/fake_server.h"

#include <algorithm>
#include <thread>

#include "core/base/sha256.h"

namespace haq::client {
namespace {

const grpc::Status kBroken(grpc::StatusCode::UNAVAILABLE, "the connection broke");
constexpr size_t kMessageBytes = 64 << 10;

}  // namespace

void FakeBlobs::Fill(const std::string& sha256, v1::Upload* upload) {
  const Blob& blob = blobs_[sha256];
  upload->set_sha256(sha256);
  upload->set_size_bytes(blob.size_bytes);
  upload->set_committed_bytes(static_cast<int64_t>(blob.bytes.size()));
  Sha256 sha;
  sha.Update(blob.bytes);
  upload->set_complete(ToHex(sha.Finish()) == sha256);
}

grpc::Status FakeBlobs::StartUpload(grpc::ServerContext*, const v1::StartUploadRequest* request,
                                    v1::Upload* response) {
  const std::lock_guard lock(mutex_);
  blobs_[request->sha256()].size_bytes = request->size_bytes();
  Fill(request->sha256(), response);
  return grpc::Status::OK;
}

grpc::Status FakeBlobs::WriteUpload(grpc::ServerContext*,
                                    grpc::ServerReader<v1::WriteUploadRequest>* reader,
                                    v1::Upload* response) {
  ++streams_;
  v1::WriteUploadRequest request;
  std::string sha256;
  for (int messages = 0; reader->Read(&request); ++messages) {
    const std::lock_guard lock(mutex_);
    if (breaks_ > 0 && messages == break_after_) {
      --breaks_;
      return kBroken;
    }
    if (!request.sha256().empty()) sha256 = request.sha256();
    std::string& bytes = blobs_[sha256].bytes;
    if (request.offset() != static_cast<int64_t>(bytes.size())) {
      return {grpc::StatusCode::FAILED_PRECONDITION, "offset: is not the next one"};
    }
    if (request.data().size() > (1 << 20)) saw_large_message_ = true;
    received_bytes_ += static_cast<int64_t>(request.data().size());
    bytes += request.data();
  }
  const std::lock_guard lock(mutex_);
  Fill(sha256, response);
  return grpc::Status::OK;
}

grpc::Status FakeBlobs::ReadBlob(grpc::ServerContext*, const v1::ReadBlobRequest* request,
                                 grpc::ServerWriter<v1::ReadBlobResponse>* writer) {
  const std::string all = bytes(request->sha256());
  if (all.empty()) return {grpc::StatusCode::NOT_FOUND, "there is no such blob"};
  int messages = 0;
  for (size_t offset = request->offset(); offset < all.size(); offset += kMessageBytes) {
    if (breaks_ > 0 && messages++ == break_after_) {
      --breaks_;
      return kBroken;
    }
    v1::ReadBlobResponse response;
    response.set_offset(static_cast<int64_t>(offset));
    response.set_data(all.substr(offset, kMessageBytes));
    writer->Write(response);
  }
  return grpc::Status::OK;
}

std::string FakeBlobs::bytes(const std::string& sha256) {
  const std::lock_guard lock(mutex_);
  return blobs_[sha256].bytes;
}

void FakeJobs::SetEvents(int64_t count, bool ended) {
  ended_ = ended;
  events_.clear();
  for (int64_t sequence = 1; sequence <= count; ++sequence) {
    v1::JobEvent& event = events_.emplace_back();
    event.set_sequence(sequence);
    if (ended && sequence == count) {
      event.mutable_state_change()->set_state(v1::SUCCEEDED);
    } else {
      event.mutable_progress()->set_done(sequence);
    }
  }
}

v1::Job FakeJobs::Describe() const {
  v1::Job job;
  job.set_name("jobs/1");
  job.set_state(ended_ ? v1::SUCCEEDED : v1::RUNNING);
  job.set_last_sequence(static_cast<int64_t>(events_.size()));
  job.set_report_json(report_json_);
  return job;
}

grpc::Status FakeJobs::GetJob(grpc::ServerContext*, const v1::GetJobRequest* request,
                              v1::Job* response) {
  if (request->name() != "jobs/1") return {grpc::StatusCode::NOT_FOUND, "name: no such job"};
  *response = Describe();
  return grpc::Status::OK;
}

// 25 jobs in pages of at most 10.
grpc::Status FakeJobs::ListJobs(grpc::ServerContext*, const v1::ListJobsRequest* request,
                                v1::ListJobsResponse* response) {
  const int begin = request->page_token().empty() ? 0 : std::stoi(request->page_token());
  const int end = std::min({25, begin + 10, begin + request->page_size()});
  for (int i = begin; i < end; ++i) response->add_jobs()->set_name("jobs/" + std::to_string(i));
  if (end < 25) response->set_next_page_token(std::to_string(end));
  return grpc::Status::OK;
}

grpc::Status FakeJobs::WatchJob(grpc::ServerContext* context, const v1::WatchJobRequest* request,
                                grpc::ServerWriter<v1::JobEvent>* writer) {
  ++streams_;
  if (request->name() != "jobs/1") return {grpc::StatusCode::NOT_FOUND, "name: no such job"};
  int sent = 0;
  for (const v1::JobEvent& event : events_) {
    if (event.sequence() < request->from_sequence() || event.sequence() == skip_) continue;
    if (breaks_ > 0 && sent == break_after_) {
      --breaks_;
      return kBroken;
    }
    writer->Write(event);
    ++sent;
  }
  while (!ended_ && !context->IsCancelled()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return grpc::Status::OK;
}

grpc::Status FakeArtifacts::GetArtifact(grpc::ServerContext*, const v1::GetArtifactRequest*,
                                        v1::Artifact* response) {
  response->set_name("models/m/versions/1");
  response->set_sha256(sha256_);
  response->set_size_bytes(static_cast<int64_t>(bytes_.size()));
  return grpc::Status::OK;
}

grpc::Status FakeArtifacts::DownloadArtifact(
    grpc::ServerContext*, const v1::DownloadArtifactRequest* request,
    grpc::ServerWriter<v1::DownloadArtifactResponse>* writer) {
  offsets_.push_back(request->offset());
  int sent = 0;
  for (size_t offset = request->offset(); offset < bytes_.size(); offset += kMessageBytes) {
    if (breaks_ > 0 && sent == break_after_) {
      --breaks_;
      return kBroken;
    }
    v1::DownloadArtifactResponse response;
    response.set_offset(static_cast<int64_t>(offset));
    response.set_data(bytes_.substr(offset, kMessageBytes));
    writer->Write(response);
    ++sent;
  }
  return grpc::Status::OK;
}

grpc::Status FakeModels::CreateModel(grpc::ServerContext*, const v1::CreateModelRequest* request,
                                     v1::Model* response) {
  request_ids.push_back(request->request_id());
  if (failures > 0) {
    --failures;
    return failure;
  }
  response->set_name("models/" + request->model_id());
  return grpc::Status::OK;
}

grpc::Status FakeModels::GetModel(grpc::ServerContext*, const v1::GetModelRequest* request,
                                  v1::Model* response) {
  if (failures > 0) {
    --failures;
    return failure;
  }
  response->set_name(request->name());
  return grpc::Status::OK;
}

FakeServer::FakeServer() { Restart(); }
FakeServer::~FakeServer() { Stop(); }

void FakeServer::Stop() {
  if (server_) server_->Shutdown(std::chrono::system_clock::now());
  server_.reset();
}

void FakeServer::Restart() {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:" + std::to_string(port_), grpc::InsecureServerCredentials(),
                           &port_);
  builder.RegisterService(&blobs);
  builder.RegisterService(&jobs);
  builder.RegisterService(&artifacts);
  builder.RegisterService(&models);
  server_ = builder.BuildAndStart();
}

}  // namespace haq::client
