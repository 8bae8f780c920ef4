#include "server/serving/served_model.h"

#include <algorithm>
#include <utility>

#include "core/artifact/file.h"
#include "core/base/file.h"
#include "core/base/sha256.h"
#include "core/runtime/self_test.h"
#include "server/log/fields.h"

namespace haq::server::serving {
namespace {

// Tensors of rank 4 are stored [N, H, W, C]; clients see [N, C, H, W].
std::vector<int64_t> SourceOrder(const std::vector<int32_t>& stored) {
  if (stored.size() == 3) return {stored[2], stored[0], stored[1]};
  return {stored.begin(), stored.end()};
}

ServedModel::Quantization EightBits(const artifact::Tensor& tensor) {
  if (tensor.type == artifact::DataType::kUint8) return {tensor.scale, tensor.zero_point};
  return {tensor.scale * 256, tensor.zero_point / 256};
}

}  // namespace

Result<std::shared_ptr<const ServedModel>> ServedModel::Load(const std::string& name,
                                                             int64_t version,
                                                             const std::filesystem::path& path,
                                                             const Settings& settings,
                                                             metrics::Metrics& metrics) {
  const std::string context =
      fmt::format("version {} of model '{}' ({})", version, name, path.string());
  auto mapped = MappedFile::Open(path);
  if (!mapped.ok()) return mapped.status().WithContext(context);
  const auto file = std::make_shared<const MappedFile>(*std::move(mapped));
  auto parsed = artifact::Parse(file->bytes(), file);
  if (!parsed.ok()) return parsed.status().WithContext(context);

  std::shared_ptr<ServedModel> served(new ServedModel(metrics));
  served->name_ = name;
  served->version_ = version;
  served->sha256_ = ToHex(Sha256Of(file->bytes()));
  served->session_batch_ = std::clamp<int64_t>(settings.session_batch, 1, settings.max_batch);
  served->max_arena_bytes_ = settings.max_arena_bytes;
  served->skip_self_test_ = settings.skip_self_test;
  served->session_threads_ = settings.session_threads;
  auto preprocess = data::Preprocess::FromJson(parsed->preprocess_json);
  if (!preprocess.ok()) return preprocess.status().WithContext(context);
  served->preprocess_ = *std::move(preprocess);
  served->output_shape_ = SourceOrder(parsed->tensors[static_cast<size_t>(parsed->output)].shape);
  served->input_quantization_ = EightBits(parsed->tensors[static_cast<size_t>(parsed->input)]);
  served->output_quantization_ = EightBits(parsed->tensors[static_cast<size_t>(parsed->output)]);
  for (int level = 0; level < 256; ++level) {
    served->input_levels_[static_cast<size_t>(level)] =
        static_cast<float>(level - served->input_quantization_.zero_point) *
        served->input_quantization_.scale;
  }
  auto loaded = runtime::LoadedModel::Create(*std::move(parsed));
  if (!loaded.ok()) return loaded.status().WithContext(context);
  served->loaded_ = *std::move(loaded);
  served->WatchClipping(settings);
  if (Status status = served->MakeFirstSession(); !status.ok()) return status.WithContext(context);
  return std::shared_ptr<const ServedModel>(std::move(served));
}

Result<std::unique_ptr<runtime::Session>> ServedModel::MakeSession() const {
  return runtime::Session::Create(loaded_, session_batch_, max_arena_bytes_, session_threads_);
}

// Batches run in pieces anyway, so a large network gets smaller pieces before it is refused.
Status ServedModel::MakeFirstSession() {
  for (;; session_batch_ /= 2) {
    auto session = MakeSession();
    if (session.ok()) {
      HAQ_RETURN_IF_ERROR(SelfTest(**session));
      idle_.push_back(*std::move(session));
      return {};
    }
    if (session.status().code() != StatusCode::kResourceExhausted || session_batch_ == 1) {
      return session.status();
    }
  }
}

// A model answers as well without: what cannot be watched is no reason not to serve it.
void ServedModel::WatchClipping(const Settings& settings) {
  auto monitor = ClippingMonitor::Create(loaded_, settings);
  if (monitor.ok()) {
    clipping_ = *std::move(monitor);
    return;
  }
  log::Write(spdlog::level::warn, {{"model", name_}, {"version", std::to_string(version_)}},
             fmt::format("serving: clipping is not watched: {}", monitor.status().ToString()));
}

Status ServedModel::SelfTest(runtime::Session& session) const {
  if (skip_self_test_) return {};
  Status passed = runtime::SelfTest(session);
  if (!passed.ok()) metrics_.CountSelfTestFailure();
  return passed;
}

Result<ServedModel::SessionLease> ServedModel::TakeSession() const {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      SessionLease lease(idle_.back().release(), SessionReturner(this));
      idle_.pop_back();
      return lease;
    }
  }
  HAQ_ASSIGN_OR_RETURN(auto session, MakeSession());
  HAQ_RETURN_IF_ERROR(SelfTest(*session));
  return SessionLease(session.release(), SessionReturner(this));
}

void ServedModel::SessionReturner::operator()(runtime::Session* session) const {
  const std::lock_guard lock(owner_->mutex_);
  owner_->idle_.emplace_back(session);
}

}  // namespace haq::server::serving
