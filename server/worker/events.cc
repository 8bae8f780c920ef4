#include "server/worker/events.h"

#include <algorithm>
#include <utility>

namespace haq::server::worker {
namespace {

// A message that ends inside a character of UTF-8 would be refused by protobuf.
std::string Cut(const std::string& text, size_t limit) {
  if (text.size() <= limit) return text;
  while (limit > 0 && (text[limit] & 0xC0) == 0x80) --limit;
  return text.substr(0, limit) + " ...";
}

}  // namespace

void EventBuffer::AddProgress(const pipeline::Progress& progress) {
  const auto last = std::find_if(events_.rbegin(), events_.rend(),
                                 [](const v1::JobEvent& event) { return event.has_progress(); });
  if (last == events_.rend() || last->progress().phase() != progress.phase) {
    events_.emplace_back().mutable_progress()->set_phase(progress.phase);
  } else {
    // To the end: accuracies that came in between belong before it.
    std::rotate(last.base() - 1, last.base(), events_.end());
  }
  v1::Progress& event = *events_.back().mutable_progress();
  event.set_done(progress.done);
  event.set_total(progress.total);
  event.set_images_per_second(progress.images_per_second);
}

void EventBuffer::AddAccuracy(const pipeline::Accuracy& accuracy) {
  std::erase_if(events_, [](const v1::JobEvent& event) { return event.has_accuracy(); });
  v1::Accuracy& event = *events_.emplace_back().mutable_accuracy();
  event.set_images(accuracy.images);
  event.set_fp32_top1(accuracy.fp32_top1);
  event.set_fp32_top5(accuracy.fp32_top5);
  event.set_int8_top1(accuracy.int8_top1);
  event.set_int8_top5(accuracy.int8_top5);
  event.set_agreement(accuracy.agreement);
  event.set_sqnr_db(accuracy.sqnr_db);
}

void EventBuffer::AddLog(const std::string& level, const std::string& message) {
  if (logs_ == kMaxLogs) {
    ++dropped_logs_;
    return;
  }
  ++logs_;
  v1::JobEvent::Log& log = *events_.emplace_back().mutable_log();
  log.set_level(level);
  log.set_message(Cut(message, kMaxLogBytes));
}

std::vector<v1::JobEvent> EventBuffer::Take() {
  if (dropped_logs_ > 0) {
    v1::JobEvent::Log& log = *events_.emplace_back().mutable_log();
    log.set_level("warning");
    log.set_message(fmt::format("{} more messages were left out", dropped_logs_));
  }
  logs_ = dropped_logs_ = 0;
  return std::exchange(events_, {});
}

}  // namespace haq::server::worker
