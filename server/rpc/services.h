// The services of haq.v1: every method translates, calls its use case and maps the status.
#pragma once

#include "haq/v1/artifacts.grpc.pb.h"
#include "haq/v1/blobs.grpc.pb.h"
#include "haq/v1/datasets.grpc.pb.h"
#include "haq/v1/jobs.grpc.pb.h"
#include "haq/v1/models.grpc.pb.h"
#include "server/api/service.h"

namespace haq::server::rpc {

class ModelService : public haq::v1::ModelService::CallbackService {
 public:
  explicit ModelService(api::Service& service) : service_(service) {}

  grpc::ServerUnaryReactor* CreateModel(grpc::CallbackServerContext* context,
                                        const haq::v1::CreateModelRequest* request,
                                        haq::v1::Model* response) override;
  grpc::ServerUnaryReactor* GetModel(grpc::CallbackServerContext* context,
                                     const haq::v1::GetModelRequest* request,
                                     haq::v1::Model* response) override;
  grpc::ServerUnaryReactor* ListModels(grpc::CallbackServerContext* context,
                                       const haq::v1::ListModelsRequest* request,
                                       haq::v1::ListModelsResponse* response) override;
  grpc::ServerUnaryReactor* DeleteModel(grpc::CallbackServerContext* context,
                                        const haq::v1::DeleteModelRequest* request,
                                        google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* PromoteVersion(grpc::CallbackServerContext* context,
                                           const haq::v1::PromoteVersionRequest* request,
                                           haq::v1::Model* response) override;
  grpc::ServerUnaryReactor* RollbackModel(grpc::CallbackServerContext* context,
                                          const haq::v1::RollbackModelRequest* request,
                                          haq::v1::Model* response) override;

 private:
  api::Service& service_;
};

class DatasetService : public haq::v1::DatasetService::CallbackService {
 public:
  explicit DatasetService(api::Service& service) : service_(service) {}

  grpc::ServerUnaryReactor* CreateDataset(grpc::CallbackServerContext* context,
                                          const haq::v1::CreateDatasetRequest* request,
                                          haq::v1::Dataset* response) override;
  grpc::ServerUnaryReactor* GetDataset(grpc::CallbackServerContext* context,
                                       const haq::v1::GetDatasetRequest* request,
                                       haq::v1::Dataset* response) override;
  grpc::ServerUnaryReactor* ListDatasets(grpc::CallbackServerContext* context,
                                         const haq::v1::ListDatasetsRequest* request,
                                         haq::v1::ListDatasetsResponse* response) override;
  grpc::ServerUnaryReactor* DeleteDataset(grpc::CallbackServerContext* context,
                                          const haq::v1::DeleteDatasetRequest* request,
                                          google::protobuf::Empty* response) override;

 private:
  api::Service& service_;
};

class BlobService : public haq::v1::BlobService::CallbackService {
 public:
  explicit BlobService(api::Service& service) : service_(service) {}

  grpc::ServerUnaryReactor* StartUpload(grpc::CallbackServerContext* context,
                                        const haq::v1::StartUploadRequest* request,
                                        haq::v1::Upload* response) override;
  grpc::ServerReadReactor<haq::v1::WriteUploadRequest>* WriteUpload(
      grpc::CallbackServerContext* context, haq::v1::Upload* response) override;
  grpc::ServerWriteReactor<haq::v1::ReadBlobResponse>* ReadBlob(
      grpc::CallbackServerContext* context, const haq::v1::ReadBlobRequest* request) override;

 private:
  api::Service& service_;
};

class JobService : public haq::v1::JobService::CallbackService {
 public:
  explicit JobService(api::Service& service) : service_(service) {}

  grpc::ServerUnaryReactor* CreateJob(grpc::CallbackServerContext* context,
                                      const haq::v1::CreateJobRequest* request,
                                      haq::v1::Job* response) override;
  grpc::ServerUnaryReactor* GetJob(grpc::CallbackServerContext* context,
                                   const haq::v1::GetJobRequest* request,
                                   haq::v1::Job* response) override;
  grpc::ServerUnaryReactor* ListJobs(grpc::CallbackServerContext* context,
                                     const haq::v1::ListJobsRequest* request,
                                     haq::v1::ListJobsResponse* response) override;
  grpc::ServerUnaryReactor* CancelJob(grpc::CallbackServerContext* context,
                                      const haq::v1::CancelJobRequest* request,
                                      haq::v1::Job* response) override;
  grpc::ServerWriteReactor<haq::v1::JobEvent>* WatchJob(
      grpc::CallbackServerContext* context, const haq::v1::WatchJobRequest* request) override;

 private:
  api::Service& service_;
};

class ArtifactService : public haq::v1::ArtifactService::CallbackService {
 public:
  explicit ArtifactService(api::Service& service) : service_(service) {}

  grpc::ServerUnaryReactor* GetArtifact(grpc::CallbackServerContext* context,
                                        const haq::v1::GetArtifactRequest* request,
                                        haq::v1::Artifact* response) override;
  grpc::ServerUnaryReactor* ListArtifacts(grpc::CallbackServerContext* context,
                                          const haq::v1::ListArtifactsRequest* request,
                                          haq::v1::ListArtifactsResponse* response) override;
  grpc::ServerWriteReactor<haq::v1::DownloadArtifactResponse>* DownloadArtifact(
      grpc::CallbackServerContext* context,
      const haq::v1::DownloadArtifactRequest* request) override;

 private:
  api::Service& service_;
};

}  // namespace haq::server::rpc
