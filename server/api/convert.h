// Rows of the store as messages of the API.
#pragma once

#include "haq/v1/artifacts.pb.h"
#include "haq/v1/datasets.pb.h"
#include "haq/v1/jobs.pb.h"
#include "haq/v1/models.pb.h"
#include "server/store/records.h"

namespace haq::server::api {

haq::v1::Model ToProto(const store::ModelRecord& model);
haq::v1::Dataset ToProto(const store::DatasetRecord& dataset);
haq::v1::Artifact ToProto(const store::ArtifactRecord& artifact, const std::string& report_json);
haq::v1::Job ToProto(const store::JobRecord& job, const std::string& report_json);

}  // namespace haq::server::api
