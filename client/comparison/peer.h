// The PyTorch peer, tests/peers/pytorch_ptq.py, as a program beside this one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/status.h"

namespace haq::comparison {

struct PeerRequest {
  std::filesystem::path program;
  std::filesystem::path model;
  std::vector<int64_t> input_shape;
  std::string preprocess_json;
  std::vector<std::filesystem::path> calibration, evaluation;  // tar shards in their order
  int64_t limit_calibration = 0, limit_evaluation = 0;
  std::string weights;
  std::filesystem::path cache;  // where it keeps its results
};

using PeerProgress = std::function<void(const std::string& what, int64_t done, int64_t total)>;

// Where the program is: `HAQ_PYTORCH_PEER`, or share/haq/pytorch/ beside this program's folder.
// kNotFound names where it was looked for.
Result<std::filesystem::path> FindPeer();

// What it printed. kUnsupported when it cannot take part (PyTorch is not installed) or cannot take
// this model; its own words are the message. kCancelled as RunProcess.
Result<std::string> RunPeer(const PeerRequest& request, const PeerProgress& progress,
                            const std::stop_token& stop = {});

}  // namespace haq::comparison
