// The whole method as one function: import -> FP32 pass with observers -> lower -> FP32 and INT8
// evaluation side by side -> artifact and report. The server's worker and `haq-worker quantize`
// call the same.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/artifact/model.h"
#include "core/base/cancellation.h"
#include "core/base/status.h"
#include "core/data/dataset.h"
#include "core/quant/corrections.h"
#include "core/quant/methods.h"

namespace haq::pipeline {

struct Options {
  std::string method = std::string(quant::kDefaultMethod);
  std::string scheme = "hybrid";        // hybrid, symmetric, asymmetric
  std::string weights = "per_channel";  // per_channel, per_tensor
  std::string preset = std::string(quant::kDefaultPreset);
  // Corrections; one that is not set is what the preset says.
  std::optional<bool> bias_correction, equalize, adaround;
  // Kept at 16 bits: the worst `wide_count` tensors, or those named. Not both.
  int64_t wide_count = 0;
  std::vector<std::string> wide_tensors;
  bool compare_speed = false;        // time INT8 and FP32 on this machine, for the report
  std::vector<int64_t> input_shape;  // [C, H, W]
  std::string preprocess_json = "{}";
  std::vector<std::string> class_names;
  int64_t limit_calibration = 0;  // the first N images; 0 is all
  int64_t limit_evaluation = 0;
  int threads = 0;                        // of the FP32 pass; 0 is every core
  int64_t checkpoint_interval_ms = 1000;  // at most one checkpoint in that time; 0: one a batch
};
// kInvalidArgument names the option, what was found and what is allowed.
Status Validate(const Options& options);

// Which corrections valid options ask for.
quant::Corrections Resolve(const Options& options);

struct Progress {
  std::string
      phase;  // "import", "calibrate", "wide", "lower", "layers", "sensitivity", "evaluate", ...
  int64_t done = 0;
  int64_t total = 0;  // 0 when unknown
  double images_per_second = 0;
};
// Running figures; fractions.
struct Accuracy {
  int64_t images = 0;
  double fp32_top1 = 0, fp32_top5 = 0, int8_top1 = 0, int8_top5 = 0, agreement = 0, sqnr_db = 0;
};

// What the pipeline tells while it works and where it keeps its checkpoints. Called from the
// calling thread.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual void OnProgress(const Progress& progress) = 0;
  virtual void OnAccuracy(const Accuracy& accuracy) = 0;
  virtual void OnWarning(const std::string& message) = 0;
  // Replaces the checkpoint. The same bytes, given to a later run with the same options and data,
  // let it continue; the result is bit-identical to that of an undisturbed run. A failure ends the
  // run.
  virtual Status SaveCheckpoint(std::span<const uint8_t> checkpoint) = 0;
};

struct Inputs {
  std::span<const uint8_t> model;  // a TorchScript or ONNX file
  // Opens the dataset from its first sample; called again when a checkpoint is resumed.
  std::function<Result<std::unique_ptr<data::SampleReader>>()> open_calibration, open_evaluation;
  int64_t calibration_images = 0;  // for progress; 0 when unknown
  int64_t evaluation_images = 0;
  std::vector<uint8_t> checkpoint;  // empty: from the beginning
};

struct Output {
  std::vector<uint8_t> artifact;  // bytes of the .haq file
  std::string report_json;        // docs/report.md
};

// kCancelled soon after the token was cancelled; other failures as the parts say.
Result<Output> Quantize(const Options& options, const Inputs& inputs, Listener& listener,
                        const CancellationToken& cancellation);

// INT8 accuracy of an artifact on a dataset. The report has int8.top1, int8.top5, images,
// images_per_second. With `self_test`, an artifact that does not pass runtime::SelfTest is not
// evaluated: kInternal.
Result<std::string> EvaluateArtifact(artifact::Model model, data::SampleReader& evaluation,
                                     int64_t limit, Listener& listener,
                                     const CancellationToken& cancellation, bool self_test = true);

}  // namespace haq::pipeline
