// What a job has finished, so that a later attempt goes on from there. Private to core/pipeline.
//
// Grammar: magic "HAQCKPT3", digest (string), calibration images' time (double), state of
// calibrator and ImageVariety (bytes), state of Rounding (bytes, empty before it), evaluation state
// (bytes, empty before it), SHA-256 of all that (bytes).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/pipeline/pipeline.h"

namespace haq::pipeline {

struct Checkpoint {
  std::string digest;  // of the model and of the options that decide the result
  double calibration_seconds = 0;
  std::vector<uint8_t> calibrator;
  std::vector<uint8_t> rounding;
  std::vector<uint8_t> evaluation;

  std::vector<uint8_t> Serialize() const;
  // kDataLoss for bytes that are no checkpoint, are damaged, or belong to another job (`digest`
  // differs).
  static Result<Checkpoint> Parse(std::span<const uint8_t> bytes, const std::string& digest);
};

// Of everything that decides a job's result besides its images.
std::string DigestOf(const Options& options, std::span<const uint8_t> model);

}  // namespace haq::pipeline
