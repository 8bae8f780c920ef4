// Images, a listener and the demo's network: what the tests of the pipeline share.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/base/file.h"
#include "core/data/encode.h"
#include "core/pipeline/pipeline.h"

namespace haq::pipeline {

inline data::Sample MakeSample(int index, int side = 32) {
  std::mt19937 random(index);
  data::Image image{side, side, std::vector<uint8_t>(size_t(side) * side * 3)};
  const int red = random() % 256, slope = random() % 7;
  for (int y = 0; y < side; ++y) {
    for (int x = 0; x < side; ++x) {
      uint8_t* pixel = &image.rgb[(size_t(y) * side + x) * 3];
      pixel[0] = static_cast<uint8_t>(red);
      pixel[1] = static_cast<uint8_t>(x * slope + random() % 32);
      pixel[2] = static_cast<uint8_t>(y * 8);
    }
  }
  return {"image" + std::to_string(index), *data::EncodePng(image), index % 10};
}

class Samples : public data::SampleReader {
 public:
  explicit Samples(std::vector<data::Sample> samples) : samples_(std::move(samples)) {}
  Result<std::optional<data::Sample>> Next() override {
    if (next_ == samples_.size()) return std::optional<data::Sample>();
    return std::optional<data::Sample>(samples_[next_++]);
  }

 private:
  std::vector<data::Sample> samples_;
  size_t next_ = 0;
};

struct Recorder : Listener {
  std::vector<std::vector<uint8_t>> checkpoints;
  std::vector<Accuracy> accuracies;
  std::vector<std::string> warnings, phases;
  struct {
    CancellationToken* token = nullptr;
    std::string phase;
  } cancel_at;

  void OnProgress(const Progress& progress) override {
    if (phases.empty() || phases.back() != progress.phase) phases.push_back(progress.phase);
    if (cancel_at.token && progress.phase == cancel_at.phase) cancel_at.token->Cancel();
  }
  void OnAccuracy(const Accuracy& accuracy) override { accuracies.push_back(accuracy); }
  void OnWarning(const std::string& message) override { warnings.push_back(message); }
  Status SaveCheckpoint(std::span<const uint8_t> checkpoint) override {
    checkpoints.emplace_back(checkpoint.begin(), checkpoint.end());
    return {};
  }
};

class PipelineTest : public testing::Test {
 protected:
  void SetUp() override {
    model_ = *ReadFile(HAQ_DEMO_MODEL);
    options_.input_shape = {3, 32, 32};
    options_.threads = 1;  // threads that wait for each other by spinning make a busy machine slow
    options_.checkpoint_interval_ms = 0;
    for (int i = 0; i < 150; ++i) calibration_.push_back(MakeSample(i));
    for (int i = 0; i < 150; ++i) evaluation_.push_back(MakeSample(1000 + i));
  }

  Inputs MakeInputs() {
    Inputs inputs;
    inputs.model = model_;
    inputs.open_calibration = [this] { return Open(calibration_); };
    inputs.open_evaluation = [this] { return Open(evaluation_); };
    return inputs;
  }
  static Result<std::unique_ptr<data::SampleReader>> Open(
      const std::vector<data::Sample>& samples) {
    return std::unique_ptr<data::SampleReader>(std::make_unique<Samples>(samples));
  }

  std::vector<uint8_t> model_;
  Options options_;
  std::vector<data::Sample> calibration_, evaluation_;
};

}  // namespace haq::pipeline
