// A whole server on real sockets, and the clients that talk to it.
#pragma once

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "haq/internal/v1/worker.grpc.pb.h"
#include "haq/v1/artifacts.grpc.pb.h"
#include "haq/v1/blobs.grpc.pb.h"
#include "haq/v1/datasets.grpc.pb.h"
#include "haq/v1/jobs.grpc.pb.h"
#include "haq/v1/models.grpc.pb.h"
#include "server/rpc/server.h"
#include "testing.h"

namespace haq::test {

namespace pb = haq::internal::v1;

class RpcTest : public testing::Test {
 protected:
  RpcTest() { StartServer(); }
  ~RpcTest() override { StopServer(); }

  void StartServer() {
    options_.data_dir = folder_.path() / "data";
    options_.clock = &clock_;
    options_.lease_check_period_ms = 0;
    options_.job_listener = &job_listener_;
    options_.artifact_listener = &artifact_listener_;
    auto service = server::api::Service::Open(options_);
    ASSERT_TRUE(service.ok()) << service.status().ToString();
    service_ = *std::move(service);
    server::rpc::GrpcOptions grpc_options;
    grpc_options.address = "127.0.0.1:0";
    grpc_options.shutdown_timeout_ms = 2000;
    auto server = server::rpc::StartGrpcServer(grpc_options, *service_);
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    server_ = *std::move(server);
    Connect();
  }

  void StopServer() {
    if (service_) service_->BeginShutdown();
    server_.reset();
    service_.reset();
  }

  void Connect() {
    grpc::ChannelArguments arguments;
    // A channel of its own for every server of a test.
    arguments.SetInt("haq.test.server", ++servers_);
    arguments.SetMaxReceiveMessageSize(-1);
    const auto channel = grpc::CreateCustomChannel(fmt::format("127.0.0.1:{}", server_->port()),
                                                   grpc::InsecureChannelCredentials(), arguments);
    models_ = haq::v1::ModelService::NewStub(channel);
    datasets_ = haq::v1::DatasetService::NewStub(channel);
    blobs_ = haq::v1::BlobService::NewStub(channel);
    jobs_ = haq::v1::JobService::NewStub(channel);
    artifacts_ = haq::v1::ArtifactService::NewStub(channel);
    workers_ = pb::WorkerService::NewStub(
        grpc::CreateCustomChannel("unix:" + service_->data_folder().worker_socket().string(),
                                  grpc::InsecureChannelCredentials(), arguments));
  }

  // A stub's method with a context of its own.
  template <typename Stub, typename Request, typename Response>
  grpc::Status Call(const std::unique_ptr<Stub>& stub,
                    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext context;
    return (stub.get()->*method)(&context, request, response);
  }

  void PushInputs() {
    PushModel(*service_);
    PushDataset(*service_, "cal", 1);
    PushDataset(*service_, "eval", 2);
  }

  haq::v1::Job CreateJob() {
    haq::v1::Job job;
    grpc::ClientContext context;
    const grpc::Status status = jobs_->CreateJob(&context, JobRequest(), &job);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return job;
  }

  haq::v1::Job GetJob(const std::string& name) {
    haq::v1::GetJobRequest request;
    request.set_name(name);
    haq::v1::Job job;
    grpc::ClientContext context;
    const grpc::Status status = jobs_->GetJob(&context, request, &job);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return job;
  }

  // Reads the stream to its end; the status goes to `status` when given, else it must be OK.
  std::vector<haq::v1::JobEvent> Watch(const std::string& name, int64_t from,
                                       grpc::Status* result = nullptr) {
    haq::v1::WatchJobRequest request;
    request.set_name(name);
    request.set_from_sequence(from);
    grpc::ClientContext context;
    auto reader = jobs_->WatchJob(&context, request);
    std::vector<haq::v1::JobEvent> events;
    haq::v1::JobEvent event;
    while (reader->Read(&event)) events.push_back(event);
    const grpc::Status status = reader->Finish();
    if (result)
      *result = status;
    else
      EXPECT_TRUE(status.ok()) << status.error_message();
    return events;
  }

  // The worker protocol, spoken by hand.
  pb::LeaseJobResponse Lease(const std::string& worker = "w", int64_t wait_ms = 0) {
    pb::LeaseJobRequest request;
    request.set_worker(worker);
    request.set_wait_ms(wait_ms);
    pb::LeaseJobResponse response;
    grpc::ClientContext context;
    const grpc::Status status = workers_->LeaseJob(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  grpc::Status Report(const pb::Lease& lease, const std::vector<haq::v1::JobEvent>& events,
                      pb::ReportEventsResponse* response = nullptr) {
    pb::ReportEventsRequest request;
    *request.mutable_lease() = lease;
    for (const auto& event : events) *request.add_events() = event;
    pb::ReportEventsResponse ignored;
    grpc::ClientContext context;
    return workers_->ReportEvents(&context, request, response ? response : &ignored);
  }

  grpc::Status SaveCheckpoint(const pb::Lease& lease, const std::string& bytes) {
    pb::SaveCheckpointRequest request;
    *request.mutable_lease() = lease;
    request.set_checkpoint(bytes);
    pb::SaveCheckpointResponse response;
    grpc::ClientContext context;
    return workers_->SaveCheckpoint(&context, request, &response);
  }

  grpc::Status ReadBlob(const pb::Lease& lease, const std::string& sha256, int64_t offset,
                        std::string* bytes) {
    pb::ReadBlobRequest request;
    *request.mutable_lease() = lease;
    request.set_sha256(sha256);
    request.set_offset(offset);
    grpc::ClientContext context;
    auto reader = workers_->ReadBlob(&context, request);
    pb::ReadBlobResponse part;
    bytes->clear();
    while (reader->Read(&part)) *bytes += part.data();
    return reader->Finish();
  }

  grpc::Status WriteArtifact(const pb::Lease& lease, const std::string& bytes,
                             const std::string& sha256 = "") {
    pb::WriteArtifactResponse response;
    grpc::ClientContext context;
    auto writer = workers_->WriteArtifact(&context, &response);
    pb::WriteArtifactRequest request;
    *request.mutable_lease() = lease;
    request.set_sha256(sha256.empty() ? Sha256Hex(bytes) : sha256);
    request.set_size_bytes(static_cast<int64_t>(bytes.size()));
    // In two parts, the second with nothing but data.
    request.set_data(bytes.substr(0, bytes.size() / 2));
    writer->Write(request);
    request.Clear();
    request.set_data(bytes.substr(bytes.size() / 2));
    writer->Write(request);
    writer->WritesDone();
    return writer->Finish();
  }

  grpc::Status Complete(const pb::Lease& lease, const std::string& artifact,
                        std::string* name = nullptr,
                        const std::string& report_json = R"({"images": 6})") {
    pb::CompleteJobRequest request;
    *request.mutable_lease() = lease;
    request.set_artifact_sha256(Sha256Hex(artifact));
    request.set_report_json(report_json);
    pb::CompleteJobResponse response;
    grpc::ClientContext context;
    const grpc::Status status = workers_->CompleteJob(&context, request, &response);
    if (name) *name = response.artifact();
    return status;
  }

  grpc::Status Fail(const pb::Lease& lease, const std::string& code, const std::string& message,
                    bool retry) {
    pb::FailJobRequest request;
    *request.mutable_lease() = lease;
    request.set_code(code);
    request.set_message(message);
    request.set_retry(retry);
    pb::FailJobResponse response;
    grpc::ClientContext context;
    return workers_->FailJob(&context, request, &response);
  }

  // Leases the next job and brings it to its end.
  std::string RunJob(int salt = 0) {
    const pb::LeaseJobResponse leased = Lease();
    const std::string artifact = MakeArtifact(salt);
    std::string name;
    grpc::Status status = WriteArtifact(leased.lease(), artifact);
    EXPECT_TRUE(status.ok()) << status.error_message();
    status = Complete(leased.lease(), artifact, &name);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return name;
  }

  static haq::v1::JobEvent Progress(const std::string& phase, int64_t done, int64_t total) {
    haq::v1::JobEvent event;
    event.mutable_progress()->set_phase(phase);
    event.mutable_progress()->set_done(done);
    event.mutable_progress()->set_total(total);
    return event;
  }

  TempFolder folder_;
  FakeClock clock_;
  RecordingJobListener job_listener_;
  RecordingArtifactListener artifact_listener_;
  server::api::ServiceOptions options_;
  std::unique_ptr<server::api::Service> service_;
  std::unique_ptr<server::rpc::GrpcServer> server_;
  int servers_ = 0;

  std::unique_ptr<haq::v1::ModelService::Stub> models_;
  std::unique_ptr<haq::v1::DatasetService::Stub> datasets_;
  std::unique_ptr<haq::v1::BlobService::Stub> blobs_;
  std::unique_ptr<haq::v1::JobService::Stub> jobs_;
  std::unique_ptr<haq::v1::ArtifactService::Stub> artifacts_;
  std::unique_ptr<pb::WorkerService::Stub> workers_;
};

}  // namespace haq::test
