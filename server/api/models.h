// Models: registering an uploaded TorchScript or ONNX file, listing, deleting.
#pragma once

#include <functional>
#include <string>

#include "haq/v1/models.pb.h"
#include "server/api/context.h"

namespace haq::server::api {

// Thread-safe. Errors are as proto/haq/v1/models.proto says; nothing is stored after one.
class Models {
 public:
  explicit Models(Context& context) : context_(context) {}

  Result<haq::v1::Model> Create(const haq::v1::CreateModelRequest& request);
  Result<haq::v1::Model> Get(const haq::v1::GetModelRequest& request);
  Result<haq::v1::ListModelsResponse> List(const haq::v1::ListModelsRequest& request);
  Status Delete(const haq::v1::DeleteModelRequest& request);
  Result<haq::v1::Model> Promote(const haq::v1::PromoteVersionRequest& request);
  Result<haq::v1::Model> Rollback(const haq::v1::RollbackModelRequest& request);

 private:
  // Serves the version that `choose` takes, and tells the listener when it is another than before.
  using ChooseVersion = std::function<Result<int64_t>(const store::ModelRecord&)>;
  Result<haq::v1::Model> Serve(const std::string& model_id, const ChooseVersion& choose);
  // `model` is the request's, with what the file tells.
  Result<haq::v1::Model> Insert(const haq::v1::CreateModelRequest& request,
                                const haq::v1::Model& model);

  Context& context_;
};

}  // namespace haq::server::api
