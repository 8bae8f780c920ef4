// Which version of a model is served.
#include <fmt/format.h>

#include "server/api/convert.h"
#include "server/api/figures.h"
#include "server/api/models.h"
#include "server/api/names.h"
#include "server/log/fields.h"

namespace haq::server::api {

// The listener is told under the same lock, so that serving sees changes in their order.
Result<haq::v1::Model> Models::Serve(const std::string& model_id, const ChooseVersion& choose) {
  const std::lock_guard lock(context_.versions_mutex);
  store::ModelRecord model;
  std::optional<store::ArtifactRecord> artifact;
  std::string report_json;
  HAQ_RETURN_IF_ERROR(context_.metadata.Write([&](store::Transaction& transaction) -> Status {
    artifact.reset();
    const auto found = transaction.FindModel(model_id);
    if (!found) return NotFound("{} does not exist", ModelName(model_id));
    HAQ_ASSIGN_OR_RETURN(const int64_t version, choose(*found));
    model = *found;
    if (version == model.served_version) return {};
    artifact = transaction.FindArtifact(model_id, version);
    if (!artifact) return NotFound("{} does not exist", VersionName(model_id, version));
    report_json = transaction.FindReport(artifact->job);
    transaction.SetVersions(model_id, model.last_version, version);
    model = *transaction.FindModel(model_id);
    return {};
  }));
  if (!artifact) return ToProto(model);
  log::Write(spdlog::level::info,
             {{"model", model_id}, {"version", std::to_string(model.served_version)}},
             fmt::format("{} is served now, before it was version {}",
                         VersionName(model_id, model.served_version), model.previous_version));
  if (context_.artifact_listener != nullptr) {
    context_.artifact_listener->OnVersionRegistered(model_id, artifact->version,
                                                    context_.blobs.PathOf(artifact->sha256));
    context_.artifact_listener->OnFigures(model_id, FiguresOf(report_json, artifact->version));
  }
  return ToProto(model);
}

Result<haq::v1::Model> Models::Promote(const haq::v1::PromoteVersionRequest& request) {
  HAQ_ASSIGN_OR_RETURN(const VersionRef ref, ParseVersionName("name", request.name()));
  if (ref.version == 0) {
    return InvalidField("name", "must be models/{{id}}/versions/{{n}}, found '{}'", request.name());
  }
  return Serve(ref.model_id,
               [&](const store::ModelRecord&) -> Result<int64_t> { return ref.version; });
}

Result<haq::v1::Model> Models::Rollback(const haq::v1::RollbackModelRequest& request) {
  HAQ_ASSIGN_OR_RETURN(const std::string id, ParseModelName("name", request.name()));
  return Serve(id, [&](const store::ModelRecord& model) -> Result<int64_t> {
    if (model.previous_version > 0) return model.previous_version;
    return FailedPrecondition("{} has served no other version before", ModelName(id));
  });
}

}  // namespace haq::server::api
