// Models and datasets.
#include "server/rpc/services.h"
#include "server/rpc/unary.h"

namespace haq::server::rpc {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

ServerUnaryReactor* ModelService::CreateModel(CallbackServerContext* context,
                                              const haq::v1::CreateModelRequest* request,
                                              haq::v1::Model* response) {
  return RunUnary(context, service_.executor(), response,
                  [this, request] { return service_.models().Create(*request); });
}

ServerUnaryReactor* ModelService::GetModel(CallbackServerContext* context,
                                           const haq::v1::GetModelRequest* request,
                                           haq::v1::Model* response) {
  return RunUnary(context, service_.executor(), response,
                  [this, request] { return service_.models().Get(*request); });
}

ServerUnaryReactor* ModelService::ListModels(CallbackServerContext* context,
                                             const haq::v1::ListModelsRequest* request,
                                             haq::v1::ListModelsResponse* response) {
  return RunUnary(context, service_.executor(), response,
                  [this, request] { return service_.models().List(*request); });
}

ServerUnaryReactor* ModelService::DeleteModel(CallbackServerContext* context,
                                              const haq::v1::DeleteModelRequest* request,
                                              google::protobuf::Empty* response) {
  return RunUnary(context, service_.executor(), response,
                  [this, request] { return service_.models().Delete(*request); });
}

ServerUnaryReactor* ModelService::PromoteVersion(CallbackServerContext* context,
                                                 const haq::v1::PromoteVersionRequest* request,
                                                 haq::v1::Model* response) {
  return RunUnary(context, service_.executor(), response,
                  [this, request] { return service_.models().Promote(*request); });
}

ServerUnaryReactor* ModelService::RollbackModel(CallbackServerContext* context,
                                                const haq::v1::RollbackModelRequest* request,
                                                haq::v1::Model* response) {
  return RunUnary(context, service_.executor(), response,
                  [this, request] { return service_.models().Rollback(*request); });
}

ServerUnaryReactor* DatasetService::CreateDataset(CallbackServerContext* context,
                                                  const haq::v1::CreateDatasetRequest* request,
                                                  haq::v1::Dataset* response) {
  return RunUnary(context, service_.heavy_executor(), response,
                  [this, request] { return service_.datasets().Create(*request); });
}

ServerUnaryReactor* DatasetService::GetDataset(CallbackServerContext* context,
                                               const haq::v1::GetDatasetRequest* request,
                                               haq::v1::Dataset* response) {
  return RunUnary(context, service_.executor(), response,
                  [this, request] { return service_.datasets().Get(*request); });
}

ServerUnaryReactor* DatasetService::ListDatasets(CallbackServerContext* context,
                                                 const haq::v1::ListDatasetsRequest* request,
                                                 haq::v1::ListDatasetsResponse* response) {
  return RunUnary(context, service_.executor(), response,
                  [this, request] { return service_.datasets().List(*request); });
}

ServerUnaryReactor* DatasetService::DeleteDataset(CallbackServerContext* context,
                                                  const haq::v1::DeleteDatasetRequest* request,
                                                  google::protobuf::Empty* response) {
  return RunUnary(context, service_.executor(), response,
                  [this, request] { return service_.datasets().Delete(*request); });
}

}  // namespace haq::server::rpc
