// What the command lines of the worker share: progress on stderr, results on stdout.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "core/base/progress.h"
#include "core/data/dataset.h"
#include "core/pipeline/pipeline.h"

namespace haq::server::worker {

// The pipeline's listener for a person. Checkpoints are not kept.
class ConsoleListener : public pipeline::Listener {
 public:
  // `evaluation_images`: the total where the pipeline does not know it. A null `out` is silent.
  ConsoleListener(std::FILE* out, int64_t evaluation_images)
      : bar_(out), evaluation_images_(evaluation_images) {}
  void OnProgress(const pipeline::Progress& progress) override;
  void OnAccuracy(const pipeline::Accuracy& accuracy) override;
  void OnWarning(const std::string& message) override;
  Status SaveCheckpoint(std::span<const uint8_t>) override { return {}; }
  void Finish() { bar_.Finish(); }

 private:
  ProgressBar bar_;
  int64_t evaluation_images_;
};

// The images that a command will use: those of the listing, at most `limit` when it is not 0.
int64_t CountImages(const data::FolderListing& listing, int64_t limit);

// `folder` with its labels file, "" for none.
Result<data::FolderListing> ListImages(const std::string& folder, const std::string& labels_file);

// A few lines with the figures of a report (docs/report.md).
std::string SummarizeReport(const std::string& report_json);

}  // namespace haq::server::worker
