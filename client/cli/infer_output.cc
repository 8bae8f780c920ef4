#include "client/cli/infer_output.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace haq::client {

static_assert(std::endian::native == std::endian::little, "raw tensors are little-endian");

Result<std::vector<std::vector<float>>> OutputRows(const inference::ModelInferResponse& response,
                                                   int64_t count) {
  if (response.outputs_size() == 0) return InternalError("the answer has no outputs");
  const auto& output = response.outputs(0);
  if (output.datatype() != "FP32" || output.shape_size() < 1 || output.shape(0) != count) {
    return InternalError("the answer's output {} is {} where FP32 [{}, classes] was expected",
                         output.name(), output.datatype(), count);
  }
  std::vector<float> values;
  if (response.raw_output_contents_size() > 0) {
    const std::string& raw = response.raw_output_contents(0);
    values.resize(raw.size() / sizeof(float));
    std::memcpy(values.data(), raw.data(), values.size() * sizeof(float));
  } else {
    values.assign(output.contents().fp32_contents().begin(),
                  output.contents().fp32_contents().end());
  }
  int64_t per_row = 1;
  for (int i = 1; i < output.shape_size(); ++i) per_row *= output.shape(i);
  if (per_row <= 0 || static_cast<int64_t>(values.size()) != count * per_row) {
    return InternalError("the answer's output {} has {} values where its shape says {}",
                         output.name(), values.size(), count * per_row);
  }
  std::vector<std::vector<float>> rows;
  for (int64_t row = 0; row < count; ++row) {
    rows.emplace_back(values.begin() + row * per_row, values.begin() + (row + 1) * per_row);
  }
  return rows;
}

std::vector<Ranked> TopK(const std::vector<float>& scores, int64_t k) {
  std::vector<Ranked> ranked;
  for (size_t i = 0; i < scores.size(); ++i) {
    ranked.push_back({static_cast<int64_t>(i), scores[i]});
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const Ranked& a, const Ranked& b) { return a.score > b.score; });
  ranked.resize(std::min<size_t>(ranked.size(), k));
  return ranked;
}

}  // namespace haq::client
