#include "server/api/artifacts.h"

#include <charconv>
#include <limits>

#include "server/api/convert.h"
#include "server/api/figures.h"
#include "server/api/names.h"
#include "server/api/pages.h"

namespace haq::server::api {
namespace {

struct Position {
  std::string model_id;
  int64_t version = 0;
};

Result<Position> ReadPosition(const std::string& list, const std::string& token) {
  HAQ_ASSIGN_OR_RETURN(const std::string key, ReadPageToken(list, token));
  if (key.empty()) return Position{};
  const auto ref = ParseVersionName("page_token", key);
  if (!ref.ok()) return InvalidField("page_token", "was not returned by this list");
  return Position{ref->model_id, ref->version};
}

}  // namespace

Result<store::ArtifactRecord> Artifacts::Find(const std::string& name, std::string* report_json) {
  HAQ_ASSIGN_OR_RETURN(const VersionRef ref, ParseVersionName("name", name));
  store::ArtifactRecord record;
  HAQ_RETURN_IF_ERROR(context_.metadata.Read([&](store::Transaction& transaction) -> Status {
    const auto model = transaction.FindModel(ref.model_id);
    if (!model) return NotFound("{} does not exist", ModelName(ref.model_id));
    const int64_t version = ref.version > 0 ? ref.version : model->served_version;
    if (version == 0) {
      return NotFound("{} has no quantized version yet: no calibration job has succeeded", name);
    }
    const auto artifact = transaction.FindArtifact(ref.model_id, version);
    if (!artifact) return NotFound("{} does not exist", VersionName(ref.model_id, version));
    record = *artifact;
    if (report_json) *report_json = transaction.FindReport(record.job);
    return {};
  }));
  return record;
}

Result<haq::v1::Artifact> Artifacts::Get(const haq::v1::GetArtifactRequest& request) {
  std::string report_json;
  HAQ_ASSIGN_OR_RETURN(const store::ArtifactRecord artifact, Find(request.name(), &report_json));
  return ToProto(artifact, report_json);
}

Result<haq::v1::ListArtifactsResponse> Artifacts::List(
    const haq::v1::ListArtifactsRequest& request) {
  HAQ_ASSIGN_OR_RETURN(const int64_t size, PageSize(request.page_size(), context_.limits));
  std::string model_id;
  if (!request.parent().empty()) {
    HAQ_ASSIGN_OR_RETURN(model_id, ParseModelName("parent", request.parent()));
  }
  const std::string list = "artifacts " + model_id;
  HAQ_ASSIGN_OR_RETURN(const Position after, ReadPosition(list, request.page_token()));
  haq::v1::ListArtifactsResponse response;
  HAQ_RETURN_IF_ERROR(context_.metadata.Read([&](store::Transaction& transaction) -> Status {
    if (!model_id.empty() && !transaction.FindModel(model_id)) {
      return NotFound("{} does not exist", request.parent());
    }
    const auto records =
        transaction.ListArtifacts(model_id, after.model_id, after.version, size + 1);
    for (size_t i = 0; i < records.size() && static_cast<int64_t>(i) < size; ++i) {
      *response.add_artifacts() = ToProto(records[i], "");
    }
    if (static_cast<int64_t>(records.size()) > size) {
      const auto& last = records[size - 1];
      response.set_next_page_token(MakePageToken(list, VersionName(last.model_id, last.version)));
    }
    return {};
  }));
  return response;
}

Result<OpenArtifact> Artifacts::Open(const haq::v1::DownloadArtifactRequest& request) {
  HAQ_ASSIGN_OR_RETURN(const store::ArtifactRecord artifact, Find(request.name(), nullptr));
  HAQ_ASSIGN_OR_RETURN(OpenBlob blob,
                       OpenBlob::Open(context_.blobs, artifact.sha256, request.offset()));
  return OpenArtifact{artifact.sha256, artifact.size_bytes, std::move(blob)};
}

Result<std::vector<ServedVersion>> Artifacts::AllVersions() {
  std::vector<ServedVersion> versions;
  HAQ_RETURN_IF_ERROR(context_.metadata.Read([&](store::Transaction& transaction) -> Status {
    constexpr int64_t kAll = std::numeric_limits<int64_t>::max();
    for (const auto& model : transaction.ListModels("", kAll)) {
      for (const auto& artifact : transaction.ListArtifacts(model.id, "", 0, kAll)) {
        const bool served = artifact.version == model.served_version;
        versions.push_back(
            {model.id, artifact.version, context_.blobs.PathOf(artifact.sha256), served,
             served ? FiguresOf(transaction.FindReport(artifact.job), artifact.version)
                    : ServedFigures{.version = artifact.version}});
      }
    }
    return {};
  }));
  return versions;
}

}  // namespace haq::server::api
