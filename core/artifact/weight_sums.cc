#include "core/artifact/weight_sums.h"

#include <algorithm>

namespace haq::artifact::internal {
namespace {

constexpr size_t kChunk = 4096;  // sums of so many bytes fit int32

struct ChunkSums {
  int32_t sum = 0, magnitude = 0;
  int8_t least = 0;
};

// No branch on a weight's sign: a loop for the compiler's vectorizer.
ChunkSums SumChunk(const int8_t* weights, size_t count) {
  ChunkSums sums;
  for (size_t i = 0; i < count; ++i) {
    const int8_t w = weights[i];
    sums.sum += w;
    sums.magnitude += w < 0 ? -w : w;
    sums.least = w < sums.least ? w : sums.least;
  }
  return sums;
}

}  // namespace

WeightSums SumWeights(std::span<const int8_t> weights) {
  WeightSums all;
  for (size_t first = 0; first < weights.size(); first += kChunk) {
    const ChunkSums chunk =
        SumChunk(weights.data() + first, std::min(kChunk, weights.size() - first));
    all.positive += (chunk.magnitude + chunk.sum) / 2;
    all.negative -= (chunk.magnitude - chunk.sum) / 2;
    all.least = std::min(all.least, chunk.least);
  }
  return all;
}

}  // namespace haq::artifact::internal
