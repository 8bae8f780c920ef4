// The `.haq` file: docs/artifact_format.md is its grammar. Little-endian, versioned, checksummed
// with SHA-256, every length bounded before anything is allocated.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "core/artifact/limits.h"
#include "core/artifact/model.h"
#include "core/base/sha256.h"
#include "core/base/status.h"

namespace haq::artifact {

// Bytes of the file. Deterministic: the same model gives the same bytes. Fails as Verify does.
Result<std::vector<uint8_t>> Serialize(const Model& model);

// Survives any bytes. kInvalidArgument: not a .haq file; kDataLoss: truncated or damaged;
// kUnsupported: a newer version; kResourceExhausted: over a limit. The model is verified. Blobs
// point into `bytes`, which must outlive the model; `file`, which the model keeps, is where they
// are mapped, if they are.
Result<Model> Parse(std::span<const uint8_t> bytes,
                    std::shared_ptr<const MappedFile> file = nullptr,
                    const ArtifactLimits& limits = {});

// Maps and parses.
Result<Model> Load(const std::filesystem::path& path, const ArtifactLimits& limits = {});
// Serializes and writes durably.
Status Save(const Model& model, const std::filesystem::path& path);

// The checksum that belongs into the header of `bytes`, at least 64 of them: SHA-256 of the file
// without the checksum's own place.
Sha256Digest ArtifactDigest(std::span<const uint8_t> bytes);

}  // namespace haq::artifact
