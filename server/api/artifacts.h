// Quantized versions of models: looking at them, and their files.
#pragma once

#include <string>
#include <vector>

#include "haq/v1/artifacts.pb.h"
#include "server/api/artifact_listener.h"
#include "server/api/context.h"
#include "server/api/open_blob.h"

namespace haq::server::api {

struct OpenArtifact {
  std::string sha256;
  int64_t size_bytes = 0;
  OpenBlob blob;
};

// Thread-safe.
class Artifacts {
 public:
  explicit Artifacts(Context& context) : context_(context) {}

  Result<haq::v1::Artifact> Get(const haq::v1::GetArtifactRequest& request);
  Result<haq::v1::ListArtifactsResponse> List(const haq::v1::ListArtifactsRequest& request);
  // kInvalidArgument for an offset outside of the file.
  Result<OpenArtifact> Open(const haq::v1::DownloadArtifactRequest& request);

  // Every version that exists, for serving to load at start.
  Result<std::vector<ServedVersion>> AllVersions();

 private:
  Result<store::ArtifactRecord> Find(const std::string& name, std::string* report_json);

  Context& context_;
};

}  // namespace haq::server::api
