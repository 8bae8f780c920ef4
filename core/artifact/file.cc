#include "core/artifact/file.h"

#include "core/base/file.h"

namespace haq::artifact {

Result<Model> Load(const std::filesystem::path& path, const ArtifactLimits& limits) {
  HAQ_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::Open(path));
  auto file = std::make_shared<const MappedFile>(std::move(mapped));
  const std::span<const uint8_t> bytes = file->bytes();
  Result<Model> model = Parse(bytes, std::move(file), limits);
  if (!model.ok()) return model.status().WithContext(path.string());
  return model;
}

Status Save(const Model& model, const std::filesystem::path& path) {
  HAQ_ASSIGN_OR_RETURN(const std::vector<uint8_t> bytes, Serialize(model));
  return WriteFileDurably(path, bytes);
}

}  // namespace haq::artifact
