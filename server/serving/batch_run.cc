#include "server/serving/batch_run.h"

#include <algorithm>

namespace haq::server::serving {
namespace {

using Clock = std::chrono::steady_clock;

// Samples of one entry in the current piece.
struct Part {
  BatchEntry* entry = nullptr;
  int64_t first = 0, count = 0;
};

class Runner {
 public:
  Runner(const ServedModel& model, const Settings& settings, int64_t piece)
      : model_(model),
        settings_(settings),
        piece_(piece),
        in_(static_cast<size_t>(model.loaded().input_elements())),
        out_(static_cast<size_t>(model.loaded().output_elements())),
        floats_(static_cast<size_t>(piece) * in_),
        answers_(static_cast<size_t>(piece) * out_) {}

  // Adds samples of the entry, piece by piece; a full piece is run.
  Status Add(runtime::Session& session, BatchEntry& entry) {
    for (int64_t first = 0; first < entry.prepared.batch;) {
      if (entry.request->cancellation.cancelled()) {
        entry.status = Cancelled("the client gave the request up");
        return {};
      }
      const int64_t count = std::min(piece_ - used_, entry.prepared.batch - first);
      const auto start = Clock::now();
      entry.status = FillSamples(entry.prepared, first, count, model_, settings_,
                                 std::span(floats_).subspan(static_cast<size_t>(used_) * in_,
                                                            static_cast<size_t>(count) * in_));
      cost_.input += Clock::now() - start;
      if (!entry.status.ok()) return {};
      parts_.push_back({&entry, first, count});
      used_ += count;
      first += count;
      if (used_ == piece_) HAQ_RETURN_IF_ERROR(Flush(session));
    }
    return {};
  }

  Status Flush(runtime::Session& session) {
    if (used_ == 0) return {};
    const auto start = Clock::now();
    HAQ_RETURN_IF_ERROR(RunPiece(session, start));
    cost_.compute += Clock::now() - start;
    cost_.samples += used_;
    const float* from = answers_.data();
    for (const Part& part : parts_) {
      const size_t size = static_cast<size_t>(part.count) * out_;
      std::copy_n(from, size, part.entry->output.data() + static_cast<size_t>(part.first) * out_);
      from += size;
    }
    parts_.clear();
    used_ = 0;
    return {};
  }

  const BatchCost& cost() const { return cost_; }

 private:
  // The answers do not depend on how a piece is cut.
  Status RunPiece(runtime::Session& session, Clock::time_point now) {
    int64_t done = 0;
    ClippingMonitor* const clipping = model_.clipping();
    if (clipping != nullptr && clipping->Due(used_, now)) {
      HAQ_RETURN_IF_ERROR(clipping->RunCounted(session, std::span(floats_).first(in_),
                                               std::span(answers_).first(out_)));
      done = 1;
    }
    if (done == used_) return {};
    const auto at = static_cast<size_t>(done), count = static_cast<size_t>(used_ - done);
    return session.Run(used_ - done, std::span(floats_).subspan(at * in_, count * in_),
                       std::span(answers_).subspan(at * out_, count * out_));
  }

  const ServedModel& model_;
  const Settings& settings_;
  const int64_t piece_;
  const size_t in_, out_;
  std::vector<float> floats_, answers_;
  std::vector<Part> parts_;
  int64_t used_ = 0;
  BatchCost cost_;
};

Status RunAll(Runner& runner, const ServedModel& model, std::span<BatchEntry> entries) {
  HAQ_ASSIGN_OR_RETURN(const auto session, model.TakeSession());
  for (BatchEntry& entry : entries) {
    if (!entry.status.ok()) continue;
    entry.output.resize(
        static_cast<size_t>(entry.prepared.batch * model.loaded().output_elements()));
    HAQ_RETURN_IF_ERROR(runner.Add(*session, entry));
  }
  return runner.Flush(*session);
}

}  // namespace

BatchCost RunBatch(const ServedModel& model, const Settings& settings,
                   std::span<BatchEntry> entries) {
  int64_t samples = 0;
  for (const BatchEntry& entry : entries) {
    if (entry.status.ok()) samples += entry.prepared.batch;
  }
  if (samples == 0) return {};
  Runner runner(model, settings, std::min(samples, model.session_batch()));
  if (const Status status = RunAll(runner, model, entries); !status.ok()) {
    for (BatchEntry& entry : entries) {
      if (entry.status.ok()) entry.status = status;
    }
  }
  return runner.cost();
}

}  // namespace haq::server::serving
