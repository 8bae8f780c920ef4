// One loaded version of a model: the mapped artifact, what clients may know of it, its sessions.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/data/preprocess.h"
#include "core/runtime/session.h"
#include "server/metrics/metrics.h"
#include "server/serving/clipping_monitor.h"
#include "server/serving/settings.h"
#include "server/serving/statistics.h"

namespace haq::server::serving {

// Thread-safe. Shared: a request that runs keeps its version alive after another one took over.
class ServedModel {
 public:
  // Maps, verifies and prepares the artifact, and makes the first session, so that what loads also
  // runs. Errors as artifact::Parse, runtime::LoadedModel::Create and runtime::SelfTest, which
  // `metrics` counts; kResourceExhausted when one sample needs more than Settings::max_arena_bytes.
  // Names model, version and path. `metrics` must outlive the model.
  static Result<std::shared_ptr<const ServedModel>> Load(const std::string& name, int64_t version,
                                                         const std::filesystem::path& path,
                                                         const Settings& settings,
                                                         metrics::Metrics& metrics);

  const std::string& name() const { return name_; }
  int64_t version() const { return version_; }
  const std::string& sha256() const { return sha256_; }  // of the artifact's file
  const artifact::Model& model() const { return loaded_->model(); }
  const runtime::LoadedModel& loaded() const { return *loaded_; }
  const data::Preprocess& preprocess() const { return preprocess_; }
  // Of one sample, in the source network's order: [C, H, W], and [classes] or [C, H, W].
  const std::vector<int64_t>& input_shape() const { return loaded_->model().input_shape; }
  const std::vector<int64_t>& output_shape() const { return output_shape_; }
  // How quantized levels are told to clients: real = scale * (level - zero_point), 0 <= level <=
  // 255. Of an output that the network makes in 16 bits the upper 8.
  struct Quantization {
    float scale = 1;
    int32_t zero_point = 0;
  };
  const Quantization& input_quantization() const { return input_quantization_; }
  const Quantization& output_quantization() const { return output_quantization_; }
  // The real value of every level of the input.
  const std::array<float, 256>& input_levels() const { return input_levels_; }
  // What clients are told of its use; thread-safe.
  Statistics& statistics() const { return statistics_; }
  // Null where nothing of the model is watched.
  ClippingMonitor* clipping() const { return clipping_.get(); }
  // Samples that a session takes at a time.
  int64_t session_batch() const { return session_batch_; }

  // A session that nobody else uses, made when none is free; it returns to the pool when the
  // pointer goes. There are as many as were ever in use at once.
  class SessionReturner {
   public:
    explicit SessionReturner(const ServedModel* owner = nullptr) : owner_(owner) {}
    void operator()(runtime::Session* session) const;

   private:
    const ServedModel* owner_;
  };
  using SessionLease = std::unique_ptr<runtime::Session, SessionReturner>;
  Result<SessionLease> TakeSession() const;

 private:
  explicit ServedModel(metrics::Metrics& metrics) : metrics_(metrics) {}
  Status MakeFirstSession();
  void WatchClipping(const Settings& settings);
  Result<std::unique_ptr<runtime::Session>> MakeSession() const;
  Status SelfTest(runtime::Session& session) const;

  metrics::Metrics& metrics_;
  bool skip_self_test_ = false;
  int session_threads_ = 1;

  std::string name_;
  int64_t version_ = 0;
  std::string sha256_;
  std::shared_ptr<const runtime::LoadedModel> loaded_;
  data::Preprocess preprocess_;
  std::vector<int64_t> output_shape_;
  Quantization input_quantization_, output_quantization_;
  std::array<float, 256> input_levels_{};
  mutable Statistics statistics_;
  std::unique_ptr<ClippingMonitor> clipping_;
  int64_t session_batch_ = 1;
  size_t max_arena_bytes_ = 0;

  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<runtime::Session>> idle_;  // guarded by mutex_
};

}  // namespace haq::server::serving
