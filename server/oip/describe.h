// What the Open Inference Protocol tells of the server and its models, as messages: the gRPC
// service sends them, the HTTP server their JSON (to_json.h).
#pragma once

#include "inference/inference.pb.h"
#include "server/serving/repository.h"
#include "server/serving/settings.h"

namespace haq::server::oip {

inference::ServerMetadataResponse ServerMetadata();

inference::ModelMetadataResponse ModelMetadata(const serving::ServedModel& model,
                                               const serving::Settings& settings);

inference::ModelConfig ModelConfig(const serving::ServedModel& model,
                                   const serving::Settings& settings);

// Of one version, or (`name` empty) of every model that answers. Errors: Repository::Acquire.
Result<inference::ModelStatisticsResponse> ModelStatistics(const serving::Repository& repository,
                                                           const std::string& name,
                                                           const std::string& version);

// Every model that serving knows, or only those that answer.
inference::RepositoryIndexResponse RepositoryIndex(const serving::Repository& repository,
                                                   bool only_ready);

}  // namespace haq::server::oip
