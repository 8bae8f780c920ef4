#include "client/lib/client.h"

#include <utility>

#include "client/lib/channel.h"
#include "client/lib/diagnosis.h"
#include "client/lib/names.h"
#include "client/lib/stubs.h"

namespace haq::client {
namespace {

constexpr int kPageSize = 1000;

// Follows next_page_token to the end, or to `limit` items (0: all).
template <typename Item, typename Request, typename Fetch, typename Items>
Result<std::vector<Item>> AllPages(Request request, const Fetch& fetch, const Items& items,
                                   int64_t limit = 0) {
  std::vector<Item> all;
  request.set_page_size(limit > 0 && limit < kPageSize ? static_cast<int>(limit) : kPageSize);
  while (true) {
    HAQ_ASSIGN_OR_RETURN(auto response, fetch(request));
    for (auto& item : *items(response)) {
      all.push_back(std::move(item));
      if (limit > 0 && static_cast<int64_t>(all.size()) == limit) return all;
    }
    if (response.next_page_token().empty()) return all;
    if (response.next_page_token() == request.page_token()) {
      return InternalError("the server repeats the page token {}", request.page_token());
    }
    request.set_page_token(response.next_page_token());
  }
}

Status StatusOf(const Result<google::protobuf::Empty>& result) { return result.status(); }

}  // namespace

Status Describe(const ClientOptions& options, const grpc::Status& status) {
  Status described = FromGrpc(status);
  // gRPC's own messages begin so when there is no connection.
  if (described.code() == StatusCode::kUnavailable &&
      described.message().starts_with("failed to connect")) {
    const std::string reason = DiagnoseConnection(options);
    if (!reason.empty()) return Unavailable("server {}: {}", options.server, reason);
  }
  if (described.code() == StatusCode::kUnavailable ||
      described.code() == StatusCode::kDeadlineExceeded) {
    return described.WithContext("server " + options.server);
  }
  return described;
}

Client::Client(ClientOptions options)
    : options_(std::move(options)), stubs_(std::make_unique<Stubs>(MakeChannel(options_))) {}
Client::~Client() = default;

Result<v1::Model> Client::CreateModel(const std::string& model_id, const v1::Model& model) {
  v1::CreateModelRequest request;
  request.set_model_id(model_id);
  *request.mutable_model() = model;
  request.set_request_id(NewRequestId());
  return Call(options_, *stubs_->models, &v1::ModelService::Stub::CreateModel, request,
              options_.timeout_ms);
}

Result<v1::Model> Client::GetModel(const std::string& name) {
  v1::GetModelRequest request;
  request.set_name(name);
  return Call(options_, *stubs_->models, &v1::ModelService::Stub::GetModel, request,
              options_.timeout_ms);
}

Result<std::vector<v1::Model>> Client::ListModels() {
  const auto fetch = [this](const v1::ListModelsRequest& request) {
    return Call(options_, *stubs_->models, &v1::ModelService::Stub::ListModels, request,
                options_.timeout_ms);
  };
  return AllPages<v1::Model>(v1::ListModelsRequest(), fetch,
                             [](auto& response) { return response.mutable_models(); });
}

// A delete is not repeated: when only its answer was lost, the second one would say NOT_FOUND.
Status Client::DeleteModel(const std::string& name, bool force) {
  v1::DeleteModelRequest request;
  request.set_name(name);
  request.set_force(force);
  return StatusOf(Call(options_, *stubs_->models, &v1::ModelService::Stub::DeleteModel, request,
                       options_.timeout_ms, Repeat::kNo));
}

Result<v1::Model> Client::PromoteVersion(const std::string& name) {
  v1::PromoteVersionRequest request;
  request.set_name(name);
  return Call(options_, *stubs_->models, &v1::ModelService::Stub::PromoteVersion, request,
              options_.timeout_ms);
}

// A second one would undo the first, so a rollback is not repeated.
Result<v1::Model> Client::RollbackModel(const std::string& name) {
  v1::RollbackModelRequest request;
  request.set_name(name);
  return Call(options_, *stubs_->models, &v1::ModelService::Stub::RollbackModel, request,
              options_.timeout_ms, Repeat::kNo);
}

Result<v1::Dataset> Client::CreateDataset(const std::string& dataset_id,
                                          const v1::Dataset& dataset) {
  v1::CreateDatasetRequest request;
  request.set_dataset_id(dataset_id);
  *request.mutable_dataset() = dataset;
  request.set_request_id(NewRequestId());
  return Call(options_, *stubs_->datasets, &v1::DatasetService::Stub::CreateDataset, request,
              /*timeout_ms=*/0);
}

Result<v1::Dataset> Client::GetDataset(const std::string& name) {
  v1::GetDatasetRequest request;
  request.set_name(name);
  return Call(options_, *stubs_->datasets, &v1::DatasetService::Stub::GetDataset, request,
              options_.timeout_ms);
}

Result<std::vector<v1::Dataset>> Client::ListDatasets() {
  const auto fetch = [this](const v1::ListDatasetsRequest& request) {
    return Call(options_, *stubs_->datasets, &v1::DatasetService::Stub::ListDatasets, request,
                options_.timeout_ms);
  };
  return AllPages<v1::Dataset>(v1::ListDatasetsRequest(), fetch,
                               [](auto& response) { return response.mutable_datasets(); });
}

Status Client::DeleteDataset(const std::string& name, bool force) {
  v1::DeleteDatasetRequest request;
  request.set_name(name);
  request.set_force(force);
  return StatusOf(Call(options_, *stubs_->datasets, &v1::DatasetService::Stub::DeleteDataset,
                       request, options_.timeout_ms, Repeat::kNo));
}

Result<v1::Job> Client::CreateJob(const v1::CalibrationSpec& spec, const std::string& request_id) {
  v1::CreateJobRequest request;
  *request.mutable_spec() = spec;
  request.set_request_id(request_id.empty() ? NewRequestId() : request_id);
  return Call(options_, *stubs_->jobs, &v1::JobService::Stub::CreateJob, request,
              options_.timeout_ms);
}

Result<v1::Job> Client::GetJob(const std::string& name) {
  v1::GetJobRequest request;
  request.set_name(name);
  return Call(options_, *stubs_->jobs, &v1::JobService::Stub::GetJob, request, options_.timeout_ms);
}

Result<std::vector<v1::Job>> Client::ListJobs(v1::JobState state, int64_t limit) {
  v1::ListJobsRequest first;
  first.set_state(state);
  const auto fetch = [this](const v1::ListJobsRequest& request) {
    return Call(options_, *stubs_->jobs, &v1::JobService::Stub::ListJobs, request,
                options_.timeout_ms);
  };
  return AllPages<v1::Job>(
      first, fetch, [](auto& response) { return response.mutable_jobs(); }, limit);
}

Result<v1::Job> Client::CancelJob(const std::string& name) {
  v1::CancelJobRequest request;
  request.set_name(name);
  return Call(options_, *stubs_->jobs, &v1::JobService::Stub::CancelJob, request,
              options_.timeout_ms);
}

Result<v1::Artifact> Client::GetArtifact(const std::string& name) {
  v1::GetArtifactRequest request;
  request.set_name(name);
  return Call(options_, *stubs_->artifacts, &v1::ArtifactService::Stub::GetArtifact, request,
              options_.timeout_ms);
}

Result<std::vector<v1::Artifact>> Client::ListArtifacts(const std::string& parent) {
  v1::ListArtifactsRequest first;
  first.set_parent(parent);
  const auto fetch = [this](const v1::ListArtifactsRequest& request) {
    return Call(options_, *stubs_->artifacts, &v1::ArtifactService::Stub::ListArtifacts, request,
                options_.timeout_ms);
  };
  return AllPages<v1::Artifact>(first, fetch,
                                [](auto& response) { return response.mutable_artifacts(); });
}

Result<inference::ServerMetadataResponse> Client::ServerMetadata() {
  return Call(options_, *stubs_->inference, &inference::GRPCInferenceService::Stub::ServerMetadata,
              inference::ServerMetadataRequest(), options_.timeout_ms);
}

Result<bool> Client::ServerReady() {
  HAQ_ASSIGN_OR_RETURN(
      const auto response,
      Call(options_, *stubs_->inference, &inference::GRPCInferenceService::Stub::ServerReady,
           inference::ServerReadyRequest(), options_.timeout_ms));
  return response.ready();
}

Result<inference::ModelMetadataResponse> Client::ModelMetadata(const std::string& model_id) {
  inference::ModelMetadataRequest request;
  request.set_name(model_id);
  return Call(options_, *stubs_->inference, &inference::GRPCInferenceService::Stub::ModelMetadata,
              request, options_.timeout_ms);
}

Result<inference::ModelStatisticsResponse> Client::ModelStatistics(const std::string& model_id,
                                                                   const std::string& version) {
  inference::ModelStatisticsRequest request;
  request.set_name(model_id);
  request.set_version(version);
  return Call(options_, *stubs_->inference, &inference::GRPCInferenceService::Stub::ModelStatistics,
              request, options_.timeout_ms);
}

Result<inference::ModelInferResponse> Client::ModelInfer(
    const inference::ModelInferRequest& request) {
  return Call(options_, *stubs_->inference, &inference::GRPCInferenceService::Stub::ModelInfer,
              request, options_.timeout_ms);
}

}  // namespace haq::client
