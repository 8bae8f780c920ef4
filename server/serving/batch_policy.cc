#include "server/serving/batch_policy.h"

#include <algorithm>

namespace haq::server::serving {

Result<BatchPolicy::Id> BatchPolicy::Submit(const std::string& name, const Item& item, Time now) {
  if (item.deadline <= now) {
    return Status(StatusCode::kDeadlineExceeded, "the deadline was over when the request came");
  }
  if (const size_t queued = waiting(name); queued >= options_.max_queue) {
    return ResourceExhausted(
        "{} requests for model '{}' wait already, which is the limit (--max-queue)", queued, name);
  }
  if (!items_.empty() && bytes_ + item.bytes > options_.max_queue_bytes) {
    return ResourceExhausted(
        "requests of {} bytes wait already; with this one of {} bytes it would be more than the "
        "limit of {} bytes (--max-queue-bytes)",
        bytes_, item.bytes, options_.max_queue_bytes);
  }
  const Id id = ++last_id_;
  // Half of what it has: waiting for others must not be what makes it late.
  const Duration patience = item.deadline == Time::max()
                                ? options_.max_delay
                                : std::min(options_.max_delay, (item.deadline - now) / 2);
  const auto& waiting = items_.emplace(id, Waiting{name, item, now + patience}).first->second;
  bytes_ += item.bytes;
  if (item.deadline != Time::max()) deadlines_.emplace(item.deadline, id);
  Model& model = models_[name];
  model.levels[item.priority].insert(id);
  model.start_by.emplace(waiting.start_by, id);
  model.samples += item.samples;
  return id;
}

size_t BatchPolicy::waiting(const std::string& model) const {
  const auto found = models_.find(model);
  return found == models_.end() ? 0 : found->second.start_by.size();
}

void BatchPolicy::Remove(Id id) {
  const auto found = items_.find(id);
  const auto& [name, item, start_by] = found->second;
  Model& model = models_.at(name);
  const auto level = model.levels.find(item.priority);
  level->second.erase(id);
  if (level->second.empty()) model.levels.erase(level);
  model.start_by.erase({start_by, id});
  model.samples -= item.samples;
  deadlines_.erase({item.deadline, id});
  bytes_ -= item.bytes;
  items_.erase(found);
}

bool BatchPolicy::Cancel(Id id) {
  const auto found = items_.find(id);
  if (found == items_.end()) return false;
  const std::string name = found->second.model;
  Remove(id);
  DropIfIdle(name);
  return true;
}

void BatchPolicy::Hold(const std::string& model) { ++models_[model].held; }

void BatchPolicy::Release(const std::string& model) {
  const auto found = models_.find(model);
  if (found == models_.end() || found->second.held == 0) return;
  --found->second.held;
  DropIfIdle(model);
}

// What it used beyond its share is remembered until the others have caught up.
void BatchPolicy::DropIfIdle(const std::string& name) {
  const auto found = models_.find(name);
  if (found == models_.end()) return;
  const Model& model = found->second;
  const bool idle = model.start_by.empty() && model.running == 0 && model.held == 0;
  if (idle && (model.tag <= virtual_time_ || this->idle())) models_.erase(found);
}

void BatchPolicy::TakeExpired(Time now, std::vector<Id>& expired) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const Id id = deadlines_.begin()->second;
    const std::string name = items_.at(id).model;
    expired.push_back(id);
    Remove(id);
    DropIfIdle(name);
  }
}

bool BatchPolicy::Runnable(const Model& model) const {
  return !model.start_by.empty() && model.running < std::max(1, options_.max_running) &&
         (draining_ || model.held == 0);
}

BatchPolicy::Time BatchPolicy::ReadyAt(const Model& model, Time now) const {
  if (draining_ || model.samples >= options_.max_batch) return now;
  return model.start_by.begin()->first;
}

BatchPolicy::Decision BatchPolicy::Next(Time now) {
  Decision decision;
  TakeExpired(now, decision.expired);
  std::map<std::string, Model>::iterator best = models_.end();
  for (auto at = models_.begin(); at != models_.end(); ++at) {
    if (!Runnable(at->second)) continue;
    const Time ready_at = ReadyAt(at->second, now);
    if (ready_at > now) {
      decision.wake_at = std::min(decision.wake_at, ready_at);
    } else if (best == models_.end() || std::max(at->second.tag, virtual_time_) <
                                            std::max(best->second.tag, virtual_time_)) {
      best = at;
    }
  }
  if (best != models_.end()) {
    decision.batch = TakeBatch(best->first, best->second);
  } else if (!deadlines_.empty()) {
    decision.wake_at = std::min(decision.wake_at, deadlines_.begin()->first);
  }
  return decision;
}

BatchPolicy::Batch BatchPolicy::TakeBatch(const std::string& name, Model& model) {
  Batch batch{name, {}, model.expected_cost};
  int64_t samples = 0;
  // Stops at the first that does not fit: small requests must not overtake a large one for ever.
  while (!model.levels.empty()) {
    const Id id = *model.levels.begin()->second.begin();
    const int64_t more = items_.at(id).item.samples;
    if (!batch.items.empty() && samples + more > options_.max_batch) break;
    samples += more;
    batch.items.push_back(id);
    Remove(id);
  }
  model.tag = std::max(model.tag, virtual_time_);
  virtual_time_ = model.tag;
  model.tag += batch.charged;
  ++model.running;
  ++running_;
  return batch;
}

void BatchPolicy::Finished(const Batch& batch, Duration cost) {
  Model& model = models_.at(batch.model);
  model.tag += cost - batch.charged;
  model.expected_cost = cost;
  --model.running;
  --running_;
  // What others owed when they went idle may be settled by now.
  for (auto at = models_.begin(); at != models_.end();) {
    const std::string name = (at++)->first;
    DropIfIdle(name);
  }
}

}  // namespace haq::server::serving
