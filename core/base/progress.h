// Progress of a long command: a bar that redraws itself on a terminal, plain lines otherwise.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace haq {

// What is counted; steps are not shown.
enum class Unit { kImages, kBytes, kSteps };

// The unit of the pipeline's phases: "upload" and "download" move bytes, "import" and "lower" are
// steps, all others go over images.
Unit UnitOfPhase(std::string_view phase);

// Not thread-safe. On a terminal one line is redrawn at most ten times a second; elsewhere a line
// is printed when a phase begins, when the next one begins or Finish() is called, and in between at
// each tenth of it but at most one every two seconds. Everything goes to one stream, stderr in the
// programs, so that stdout stays clean.
class ProgressBar {
 public:
  // `out` outlives the bar. A null `out` prints nothing.
  explicit ProgressBar(std::FILE* out);  // a terminal when isatty() says so
  ProgressBar(std::FILE* out, bool terminal, int columns = 80);
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  ~ProgressBar();  // Finish()

  // `total` 0: unknown. `rate` per second, 0 is not shown.
  void Update(std::string_view phase, int64_t done, int64_t total, double rate = 0,
              Unit unit = Unit::kImages);
  // What stands behind the bar from now on, such as running accuracies.
  void Note(std::string note);
  // A line of its own, above the bar.
  void Line(std::string_view text);
  // Leaves the last state standing and ends the line. A later Update starts a new bar.
  void Finish();

 private:
  using Clock = std::chrono::steady_clock;

  std::string Text() const;
  void Draw();
  void PrintPlain();
  std::string Amount() const;

  std::FILE* out_;
  bool terminal_;
  int columns_;
  std::string phase_, note_;
  Unit unit_ = Unit::kImages;
  int64_t done_ = 0, total_ = 0;
  double rate_ = 0;
  bool dirty_ = false;    // an update was not drawn
  bool on_line_ = false;  // the cursor stands behind a drawn bar
  int64_t printed_tenth_ = -1;
  Clock::time_point drawn_at_{};
};

// "1.5 MiB": for people, not for programs.
std::string FormatBytes(uint64_t bytes);

}  // namespace haq
