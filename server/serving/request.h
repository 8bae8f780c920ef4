// An inference request and its answer, without any protocol: gRPC fills it in, and REST will.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/cancellation.h"

namespace haq::server::serving {

inline constexpr std::string_view kInputName = "input";
inline constexpr std::string_view kOutputName = "output";
inline constexpr std::string_view kFp32 = "FP32";
inline constexpr std::string_view kUint8 = "UINT8";
inline constexpr std::string_view kInt8 = "INT8";
inline constexpr std::string_view kBytes = "BYTES";

// Flattened row-major little-endian values; BYTES elements each after their 4-byte length.
struct RawContent {
  std::span<const uint8_t> bytes;
};
using FloatContent = std::span<const float>;
using BytesContent = std::vector<std::string_view>;

// Of shape [N, C, H, W], already preprocessed: FP32, or the input's quantized levels as UINT8, or
// as INT8 (level - 128). Or BYTES of shape [N] or [N, 1], each element a JPEG or PNG file, which
// the server decodes and preprocesses as the model says.
struct InputTensor {
  std::string name;
  std::string datatype;
  std::vector<int64_t> shape;
  std::variant<RawContent, FloatContent, BytesContent> content;
  bool one_sample = false;  // `shape` is not told: it is that of one sample
};

// Longer ones are no deadline at all.
inline constexpr std::chrono::microseconds kLongestTimeout = std::chrono::hours(24);
// `timeout_us` microseconds from now; never for 0 and beyond kLongestTimeout.
inline std::chrono::steady_clock::time_point DeadlineAfter(int64_t timeout_us) {
  if (timeout_us <= 0 || timeout_us > kLongestTimeout.count()) {
    return std::chrono::steady_clock::time_point::max();
  }
  return std::chrono::steady_clock::now() + std::chrono::microseconds(timeout_us);
}

struct RequestedOutput {
  std::string name;
  std::string datatype = std::string(kFp32);  // or UINT8, INT8: the output's quantized levels
  // 0: the tensor itself. Otherwise the classes with the highest values, that many or all, instead
  // of it: BYTES "<value>:<index>[:<label>]".
  int64_t classes = 0;
};

// The memory that the contents refer to must stay until the request was answered.
struct Request {
  std::string model;
  std::string version;  // empty: the served one
  std::vector<InputTensor> inputs;
  std::vector<RequestedOutput> outputs;  // empty: all
  int priority = 0;                      // 1 is the highest; 0: Settings::default_priority
  // Before which it has to start.
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  CancellationToken cancellation;  // nobody waits for the answer any more
  // Memory of contents that were made of what came; a deque never moves its elements.
  std::deque<std::vector<uint8_t>> owned = {};
};

struct OutputTensor {
  std::string name;
  std::string datatype;
  std::vector<int64_t> shape;  // [N, ...]
  // One of these, as the datatype says.
  std::vector<float> values = {};          // FP32
  std::vector<uint8_t> levels = {};        // UINT8, and INT8 as its bytes
  std::vector<std::string> elements = {};  // BYTES
};

struct Response {
  std::string model;
  std::string version;
  int64_t images = 0;  // N
  std::vector<OutputTensor> outputs;
};

}  // namespace haq::server::serving
