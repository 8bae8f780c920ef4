// Models: registering an uploaded TorchScript or ONNX file, listing, deleting.
#pragma once

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

 private:
  // `model` is the request's, with what the file tells.
  Result<haq::v1::Model> Insert(const haq::v1::CreateModelRequest& request,
                                const haq::v1::Model& model);

  Context& context_;
};

}  // namespace haq::server::api
