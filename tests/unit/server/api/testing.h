// What the tests of the server's layers share: folders, clocks, uploaded files.
#pragma once

#include <atomic>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "server/api/artifact_listener.h"
#include "server/api/service.h"
#include "server/jobs/listener.h"
#include "server/store/clock.h"

namespace haq::test {

// Removed with its content at the end.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

class FakeClock : public server::store::Clock {
 public:
  int64_t NowUs() const override { return now_us_.load(); }
  void AdvanceMs(int64_t milliseconds) { now_us_ += milliseconds * 1000; }

 private:
  // Today, so that files of this run are not old.
  std::atomic<int64_t> now_us_{server::store::SystemClock().NowUs()};
};

struct StateChange {
  std::string job;
  server::jobs::JobState from, to;
  bool operator==(const StateChange&) const = default;
};

class RecordingJobListener : public server::jobs::Listener {
 public:
  void OnStateChange(const std::string& job, server::jobs::JobState from,
                     server::jobs::JobState to) override;
  void OnCalibrationImages(int64_t images) override { images_ += images; }
  // "calibrate 2.5"
  void OnPhase(const std::string& phase, double seconds) override;
  // "jobs/1 200"
  void OnCalibrationSpeed(const std::string& job, double images_per_second) override;
  void OnWorkerRestart(bool crashed) override;
  std::vector<std::string> phases() const;
  std::vector<std::string> speeds() const;
  int restarts() const { return restarts_; }
  int crashes() const { return crashes_; }
  std::vector<StateChange> changes() const;
  int64_t images() const { return images_; }

 private:
  mutable std::mutex mutex_;
  std::vector<StateChange> changes_;
  std::vector<std::string> phases_, speeds_;
  std::atomic<int> restarts_{0}, crashes_{0};
  std::atomic<int64_t> images_{0};
};

class RecordingArtifactListener : public server::api::ArtifactListener {
 public:
  void OnVersionRegistered(const std::string& model_id, int64_t version,
                           const std::filesystem::path& path) override;
  void OnModelDeleted(const std::string& model_id) override;
  void OnFigures(const std::string& model_id, const server::api::ServedFigures& figures) override;
  std::vector<server::api::ServedFigures> figures() const;
  // "resnet 1", "-resnet"
  std::vector<std::string> calls() const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> calls_;
  std::vector<server::api::ServedFigures> figures_;
};

std::string Sha256Hex(const std::string& bytes);

// A zip archive with these entries, stored.
std::string MakeZip(const std::vector<std::pair<std::string, std::string>>& entries);
// What the server takes for a TorchScript model; `salt` makes it another one.
std::string MakeTorchScript(const std::string& salt = "");
// A shard of `images` small PNGs; label i % classes, or none.
std::string MakeShard(int images, std::optional<int> classes, int salt = 0);
// A .haq file whose input is [3, 8, 8], or another shape.
std::string MakeArtifact(int salt = 0, std::vector<int64_t> input_shape = {3, 8, 8});

// Through the uploads of the service; the digest.
std::string UploadBlob(server::api::Service& service, const std::string& bytes);
// models/m, [3, 8, 8]
void PushModel(server::api::Service& service, const std::string& id = "m",
               const std::vector<std::string>& class_names = {});
// 6 images with the labels 0 to 2.
void PushDataset(server::api::Service& service, const std::string& id, int salt = 0,
                 std::optional<int> classes = 3);
// models/m on datasets/cal and datasets/eval.
haq::v1::CreateJobRequest JobRequest();

}  // namespace haq::test
