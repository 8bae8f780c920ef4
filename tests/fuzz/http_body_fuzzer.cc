// Bodies of inference requests over HTTP: any bytes as JSON, and as gzip or deflate. What is read
// keeps the reader's limits, and the data of its inputs stay in step with them.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "server/http/gzip.h"
#include "server/http/json_reader.h"

namespace {

using namespace haq::server::http;

void Check(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

size_t CountValues(const nlohmann::json& value) {
  size_t count = 1;
  if (!value.is_structured()) return count;
  for (const auto& element : value) count += CountValues(element);
  return count;
}

void TryJson(const std::string& text) {
  const auto read = ReadInferenceJson(text);
  if (!read.ok()) {
    Check(read.status().code() == haq::StatusCode::kInvalidArgument,
          "a wrong body is the client's");
    Check(read.status().message().size() < 1000, "messages are short");
    return;
  }
  Check(read->document.is_object(), "a request is an object");
  Check(CountValues(read->document) <= 1 + kMaxJsonValues, "values are limited");
  const auto inputs = read->document.find("inputs");
  if (inputs == read->document.end() || !inputs->is_array()) return;
  size_t objects = 0;
  for (const auto& input : *inputs) objects += input.is_object();
  Check(read->data.size() == objects, "every input has its data");
  for (const DataArray& data : read->data) {
    Check(data.numbers.size() + data.strings.size() <= text.size(),
          "data is no larger than its text");
    Check(data.strings.size() <= kMaxDataStrings, "strings are limited");
  }
}

void TryCompressed(const char* encoding, const std::string& body) {
  constexpr uint64_t kLimit = 100'000;
  const auto inflated = Decompress(encoding, body, kLimit);
  if (!inflated.ok()) return;
  Check(inflated->size() <= kLimit, "decompression is limited");
  const auto again = Decompress(encoding, Compress(encoding, *inflated), kLimit);
  Check(again.ok() && *again == *inflated, "what was compressed comes back");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  TryJson(bytes);
  TryCompressed("gzip", bytes);
  TryCompressed("deflate", bytes);
  Check(ChooseEncoding(bytes).size() <= 7, "an encoding is gzip, deflate or none");
  return 0;
}
