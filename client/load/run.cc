#include "client/load/run.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>
#include <vector>

namespace haq::client::load {
namespace {

using Clock = std::chrono::steady_clock;

Clock::duration Seconds(double seconds) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}
double SecondsOf(Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// The requests under way and what became of the others. Thread-safe.
class Ledger {
 public:
  Ledger(Clock::time_point begin, Clock::time_point end) : begin_(begin), end_(end) {}

  Clock::time_point end() const { return end_; }
  bool InWindow(Clock::time_point time) const { return time >= begin_ && time < end_; }

  // False, and counted when it is, if `most` are under way already.
  bool Begin(int64_t most, bool count) {
    const std::lock_guard lock(mutex_);
    if (outstanding_ >= most) {
      outcome_.not_sent += count ? 1 : 0;
      return false;
    }
    ++outstanding_;
    return true;
  }
  void AddLateness(double seconds) {
    const std::lock_guard lock(mutex_);
    lateness_.push_back(seconds);
  }
  // A request that started, or was due, at `start` has ended.
  void Record(StatusCode code, Clock::time_point start, Clock::time_point now, bool counts) {
    const std::lock_guard lock(mutex_);
    if (code == StatusCode::kOk && InWindow(now)) ++outcome_.ok_in_window;
    if (!counts) return;
    ++outcome_.codes[code];
    (code == StatusCode::kOk ? succeeded_ : failed_).push_back(SecondsOf(now - start));
  }
  void End() {
    const std::lock_guard lock(mutex_);
    // Under the lock: the waiting thread destroys the ledger when it sees zero.
    if (--outstanding_ == 0) none_.notify_all();
  }

  void WaitForNone() {
    std::unique_lock lock(mutex_);
    none_.wait(lock, [this] { return outstanding_ == 0; });
  }

  Outcome Result() {
    const std::lock_guard lock(mutex_);
    outcome_.seconds = SecondsOf(end_ - begin_);
    outcome_.succeeded = Summarize(std::move(succeeded_));
    outcome_.failed = Summarize(std::move(failed_));
    outcome_.lateness = Summarize(std::move(lateness_));
    return std::move(outcome_);
  }

 private:
  const Clock::time_point begin_, end_;
  std::mutex mutex_;
  std::condition_variable none_;
  int64_t outstanding_ = 0;
  Outcome outcome_;
  std::vector<double> succeeded_, failed_, lateness_;
};

// A client of the closed loop.
class ClosedClient {
 public:
  ClosedClient(Transport& transport, Ledger& ledger, int index, int requests,
               const std::stop_token& stop)
      : transport_(transport),
        ledger_(ledger),
        connection_(index % transport.connections()),
        requests_(requests),
        next_(index % requests),
        stop_(stop) {}

  // The ledger has it as begun.
  void Send() {
    start_ = Clock::now();
    transport_.Send(connection_, std::exchange(next_, (next_ + 1) % requests_),
                    [this](StatusCode code) { Answered(code); });
  }

 private:
  void Answered(StatusCode code) {
    const auto now = Clock::now();
    ledger_.Record(code, start_, now, ledger_.InWindow(now));
    if (now >= ledger_.end() || stop_.stop_requested()) return ledger_.End();
    Send();
  }

  Transport& transport_;
  Ledger& ledger_;
  const int connection_, requests_;
  int next_;
  const std::stop_token stop_;
  Clock::time_point start_;
};

void RunClosed(Transport& transport, int requests, const Level& level, Ledger& ledger,
               const std::stop_token& stop) {
  std::vector<ClosedClient> clients;
  clients.reserve(static_cast<size_t>(level.clients));
  for (int i = 0; i < level.clients; ++i) {
    clients.emplace_back(transport, ledger, i, requests, stop);
  }
  for (ClosedClient& client : clients) {
    ledger.Begin(level.clients, /*count=*/false);
    client.Send();
  }
  ledger.WaitForNone();
}

void RunOpen(Transport& transport, int requests, const Level& level, Clock::time_point start,
             Ledger& ledger, const std::stop_token& stop) {
  Arrivals arrivals(level.spacing, level.rate, level.seed);
  for (int64_t i = 0; !stop.stop_requested(); ++i) {
    const auto due = start + Seconds(arrivals.Next());
    if (due >= ledger.end()) break;
    std::this_thread::sleep_until(due);
    const bool counts = ledger.InWindow(due);
    if (!ledger.Begin(level.max_outstanding, counts)) continue;
    if (counts) ledger.AddLateness(SecondsOf(Clock::now() - due));
    transport.Send(static_cast<int>(i % transport.connections()), static_cast<int>(i % requests),
                   [&ledger, due, counts](StatusCode code) {
                     ledger.Record(code, due, Clock::now(), counts);
                     ledger.End();
                   });
  }
  ledger.WaitForNone();
}

}  // namespace

int64_t Outcome::ok() const {
  const auto found = codes.find(StatusCode::kOk);
  return found == codes.end() ? 0 : found->second;
}

int64_t Outcome::total() const {
  return std::accumulate(codes.begin(), codes.end(), int64_t{0},
                         [](int64_t sum, const auto& entry) { return sum + entry.second; });
}

Result<Outcome> RunLevel(Transport& transport, int requests, const Level& level,
                         const Window& window, const std::stop_token& stop) {
  const auto start = Clock::now();
  const auto begin = start + Seconds(window.warmup);
  Ledger ledger(begin, begin + Seconds(window.duration));
  if (level.clients > 0) {
    RunClosed(transport, requests, level, ledger, stop);
  } else {
    RunOpen(transport, requests, level, start, ledger, stop);
  }
  if (stop.stop_requested()) return Cancelled("interrupted");
  return ledger.Result();
}

}  // namespace haq::client::load
