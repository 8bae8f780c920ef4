// Datasets: registering uploaded shards, listing, deleting.
#pragma once

#include "haq/v1/datasets.pb.h"
#include "server/api/context.h"

namespace haq::server::api {

// Thread-safe. Errors are as proto/haq/v1/datasets.proto says; nothing is stored after one.
class Datasets {
 public:
  explicit Datasets(Context& context) : context_(context) {}

  // Decodes every image of every shard: seconds to minutes.
  Result<haq::v1::Dataset> Create(const haq::v1::CreateDatasetRequest& request);
  Result<haq::v1::Dataset> Get(const haq::v1::GetDatasetRequest& request);
  Result<haq::v1::ListDatasetsResponse> List(const haq::v1::ListDatasetsRequest& request);
  Status Delete(const haq::v1::DeleteDatasetRequest& request);

 private:
  Result<haq::v1::Dataset> Insert(const haq::v1::CreateDatasetRequest& request,
                                  store::DatasetRecord record);

  Context& context_;
};

}  // namespace haq::server::api
