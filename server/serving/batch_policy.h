// Which of the waiting requests run next, and which of them together. No threads and no clock:
// every call is told what time it is.
//
// Between models: start-time fair queuing. A model is charged the thread time that its batches
// cost, and the model that is owed most goes first; one that was idle is owed nothing for that
// time. So models that all have work get equal shares of the threads, however many requests each
// has waiting.
//
// Within a model: the lowest priority number first, then the order of arrival. Requests are put
// into one batch while their samples fit; a larger one runs alone.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/status.h"

namespace haq::server::serving {

// Not thread-safe.
class BatchPolicy {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::steady_clock::duration;

  struct Options {
    int64_t max_batch = 8;   // samples that run together
    Duration max_delay{};    // how long a request may wait for others to join it
    int max_running = 1;     // batches of one model at a time
    size_t max_queue = 256;  // requests of one model that wait
    size_t max_queue_bytes = size_t{512} << 20;  // of all models
  };
  struct Item {
    int64_t samples = 1;
    size_t bytes = 0;  // that it keeps in memory
    int priority = 0;
    Time deadline = Time::max();  // before which it has to start
  };
  using Id = uint64_t;  // 0 is none

  explicit BatchPolicy(const Options& options) : options_(options) {}

  // kResourceExhausted when the model's queue or the bytes are full (one item that is larger than
  // the limit may wait where nothing else does), kDeadlineExceeded when the deadline is over.
  Result<Id> Submit(const std::string& model, const Item& item, Time now);
  // Takes a waiting item out; false when it does not wait (any more).
  bool Cancel(Id id);

  // Items of `model` wait until as many Release calls followed; deadlines go on.
  void Hold(const std::string& model);
  void Release(const std::string& model);
  // From now on nothing waits for others to join, and nothing is held.
  void Drain() { draining_ = true; }

  struct Batch {
    std::string model;
    std::vector<Id> items;
    Duration charged{};  // what Finished corrects
  };
  struct Decision {
    std::vector<Id> expired;     // their deadline is over; they wait no more
    Batch batch;                 // runs now, unless it is empty: `Finished` must follow
    Time wake_at = Time::max();  // without a batch: ask again then, or after any other call
  };
  Decision Next(Time now);
  // A batch of Next came to its end after `cost` on its thread.
  void Finished(const Batch& batch, Duration cost);

  size_t waiting() const { return items_.size(); }
  size_t waiting(const std::string& model) const;
  bool idle() const { return items_.empty() && running_ == 0; }
  // Models that take memory here: those with something waiting, running, held or owed.
  size_t models() const { return models_.size(); }

 private:
  struct Waiting {
    std::string model;
    Item item;
    Time start_by;  // it waits no longer than this for others
  };
  struct Model {
    std::map<int, std::set<Id>> levels;  // by priority; no empty ones
    std::set<std::pair<Time, Id>> start_by;
    int64_t samples = 0;  // that wait
    int running = 0;
    int held = 0;
    Duration tag{};            // thread time it was given, on the scale of virtual_time_
    Duration expected_cost{};  // of its next batch: what the last one cost
  };

  void Remove(Id id);
  void DropIfIdle(const std::string& name);
  void TakeExpired(Time now, std::vector<Id>& expired);
  bool Runnable(const Model& model) const;
  // When the model's next batch should start, seen from `now`.
  Time ReadyAt(const Model& model, Time now) const;
  Batch TakeBatch(const std::string& name, Model& model);

  const Options options_;
  bool draining_ = false;
  Id last_id_ = 0;
  size_t bytes_ = 0;
  int running_ = 0;
  Duration virtual_time_{};  // the tag of the batch that started last
  std::unordered_map<Id, Waiting> items_;
  std::set<std::pair<Time, Id>> deadlines_;
  std::map<std::string, Model> models_;
};

}  // namespace haq::server::serving
