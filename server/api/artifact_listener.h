// How serving learns which quantized versions exist, and metrics how good they are.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace haq::server::api {

// How good a version is, by the report of the job that made it; what that does not say is not set.
struct ServedFigures {
  int64_t version = 0;
  // Fractions.
  std::optional<double> fp32_top1 = {}, int8_top1 = {}, agreement = {};
  std::optional<double> sqnr_db = {};
  // Of one image on one thread, where the job compared them.
  std::optional<double> int8_ms = {}, fp32_ms = {};
  bool operator==(const ServedFigures&) const = default;
};

// One version of a model and where its .haq file lies. The file does not change; it may be unlinked
// when the model is deleted (a mapping of it stays valid).
struct ServedVersion {
  std::string model_id;  // without "models/"
  int64_t version = 0;   // 1, 2, ...
  std::filesystem::path path;
  bool served = false;         // the version that answers requests which name none
  ServedFigures figures = {};  // of the served one
};

// Called after the change is stored, from one of the server's threads, one call at a time for a
// model; long work belongs on the listener's own thread. Must not call back into the service that
// calls it.
class ArtifactListener {
 public:
  virtual ~ArtifactListener() = default;
  // `version` is now the served version of `model_id`.
  virtual void OnVersionRegistered(const std::string& model_id, int64_t version,
                                   const std::filesystem::path& path) = 0;
  // Of the version that OnVersionRegistered told of just now.
  virtual void OnFigures(const std::string& model_id, const ServedFigures& figures) = 0;
  virtual void OnModelDeleted(const std::string& model_id) = 0;
};

}  // namespace haq::server::api
