#include "core/base/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace haq {
namespace {

constexpr auto kRedrawInterval = std::chrono::milliseconds(100);
constexpr auto kLineInterval = std::chrono::seconds(2);
constexpr int kLeastBarColumns = 8, kMostBarColumns = 24;

int TerminalColumns(std::FILE* out) {
  winsize size{};
  if (::ioctl(::fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

}  // namespace

ProgressBar::ProgressBar(std::FILE* out)
    : ProgressBar(out, out != nullptr && ::isatty(::fileno(out)) == 1,
                  out != nullptr ? TerminalColumns(out) : 80) {}

ProgressBar::ProgressBar(std::FILE* out, bool terminal, int columns)
    : out_(out), terminal_(terminal), columns_(std::max(20, columns)) {}

ProgressBar::~ProgressBar() { Finish(); }

void ProgressBar::Update(std::string_view phase, int64_t done, int64_t total, double rate,
                         Unit unit) {
  if (out_ == nullptr) return;
  const bool first = phase != phase_;
  if (first) {
    Finish();
    phase_ = phase;
    note_.clear();
    printed_tenth_ = -1;
  }
  done_ = done;
  total_ = total;
  rate_ = rate;
  unit_ = unit;
  dirty_ = true;
  if (terminal_) {
    if (first || done_ == total_ || Clock::now() - drawn_at_ >= kRedrawInterval) Draw();
    return;
  }
  // The end of a phase waits for the next one or for Finish: a note may still come.
  const int64_t tenth = total_ > 0 ? done_ * 10 / total_ : 0;
  const bool due = tenth != printed_tenth_ && Clock::now() - drawn_at_ >= kLineInterval;
  if (first || (due && done_ != total_)) {
    printed_tenth_ = tenth;
    PrintPlain();
  }
}

void ProgressBar::Note(std::string note) {
  if (out_ == nullptr || note == note_) return;
  note_ = std::move(note);
  dirty_ = true;
  if (terminal_ && !phase_.empty() && Clock::now() - drawn_at_ >= kRedrawInterval) Draw();
}

void ProgressBar::Line(std::string_view text) {
  if (out_ == nullptr) return;
  if (on_line_) {
    std::fputs("\r\x1b[K", out_);
    on_line_ = false;
    dirty_ = true;
  }
  std::fwrite(text.data(), 1, text.size(), out_);
  std::fputc('\n', out_);
  if (terminal_ && dirty_ && !phase_.empty()) Draw();
  std::fflush(out_);
}

void ProgressBar::Finish() {
  if (out_ == nullptr || phase_.empty()) return;
  if (terminal_) {
    if (dirty_) Draw();
    if (on_line_) std::fputc('\n', out_);
    on_line_ = false;
  } else if (dirty_) {
    PrintPlain();
  }
  std::fflush(out_);
  phase_.clear();
  note_.clear();
  dirty_ = false;
}

std::string ProgressBar::Text() const {
  std::string text;
  double fraction = 0;
  if (total_ > 0) {
    fraction = std::clamp(static_cast<double>(done_) / static_cast<double>(total_), 0.0, 1.0);
    text += fmt::format(" {:3.0f} %", fraction * 100) + Amount();
  } else if (done_ > 0) {
    text += Amount();
  }
  if (rate_ > 0) text += fmt::format("  {:.0f}/s", rate_);
  if (!note_.empty()) text += "  " + note_;
  const std::string phase = fmt::format("{:<9}", phase_);
  if (!terminal_ || total_ <= 0) return phase + text;
  // The bar takes what the rest leaves of the line.
  const int left = columns_ - 1 - static_cast<int>(phase.size() + text.size()) - 3;
  const int bar = std::clamp(left, kLeastBarColumns, kMostBarColumns);
  const int filled = static_cast<int>(fraction * bar);
  return fmt::format("{} [{}{}]{}", phase, std::string(filled, '#'), std::string(bar - filled, '.'),
                     text);
}

void ProgressBar::Draw() {
  std::string text = Text();
  // A line that wraps could not be redrawn in place.
  if (text.size() >= static_cast<size_t>(columns_)) text.resize(columns_ - 1);
  std::fprintf(out_, "\r%s\x1b[K", text.c_str());
  std::fflush(out_);
  on_line_ = true;
  dirty_ = false;
  drawn_at_ = Clock::now();
}

void ProgressBar::PrintPlain() {
  drawn_at_ = Clock::now();
  dirty_ = false;
  std::fprintf(out_, "%s\n", Text().c_str());
  std::fflush(out_);
}

// "12/100 images", "1.5 MiB/3.0 MiB", and nothing for steps.
std::string ProgressBar::Amount() const {
  switch (unit_) {
    case Unit::kImages:
      return total_ > 0 ? fmt::format("  {}/{} images", done_, total_)
                        : fmt::format("  {} images", done_);
    case Unit::kBytes:
      return total_ > 0 ? fmt::format("  {}/{}", FormatBytes(done_), FormatBytes(total_))
                        : "  " + FormatBytes(done_);
    case Unit::kSteps:
      return "";
  }
  return "";
}

Unit UnitOfPhase(std::string_view phase) {
  if (phase == "upload" || phase == "download") return Unit::kBytes;
  if (phase == "import" || phase == "lower" || phase == "adaround") return Unit::kSteps;
  return Unit::kImages;
}

std::string FormatBytes(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) value /= 1024, ++unit;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

}  // namespace haq
