#include "core/pipeline/image_batches.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>
#include <numeric>

namespace haq::pipeline {
namespace {

int64_t Product(const std::vector<int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

}  // namespace

int64_t BatchImages(const std::vector<int64_t>& input_shape) {
  constexpr int64_t kElements = 1'500'000;
  const int64_t fit = std::clamp<int64_t>(kElements / Product(input_shape), 4, 64);
  return static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(fit)));
}

ImageBatches::ImageBatches(data::SampleReader& reader, const data::Preprocess& preprocess,
                           std::vector<int64_t> input_shape, int64_t limit, ThreadPool& pool)
    : reader_(reader),
      preprocess_(preprocess),
      input_shape_(std::move(input_shape)),
      elements_(Product(input_shape_)),
      left_(limit > 0 ? limit : std::numeric_limits<int64_t>::max()),
      pool_(pool) {}

Status ImageBatches::Skip(int64_t count) {
  for (; count > 0; --count, --left_) {
    HAQ_ASSIGN_OR_RETURN(const std::optional<data::Sample> sample, reader_.Next());
    if (!sample) return DataLoss("the dataset has fewer images than the checkpoint has seen");
  }
  return {};
}

Status ImageBatches::Next(Batch& batch) {
  const int64_t wanted = std::min(BatchImages(input_shape_), left_);
  std::vector<data::Sample> samples;
  while (static_cast<int64_t>(samples.size()) < wanted) {
    HAQ_ASSIGN_OR_RETURN(std::optional<data::Sample> sample, reader_.Next());
    if (!sample) break;
    samples.push_back(*std::move(sample));
  }
  batch.n = static_cast<int64_t>(samples.size());
  left_ -= batch.n;
  batch.input.resize(batch.n * elements_);
  batch.labels.clear();
  batch.keys.clear();
  std::vector<Status> failures(samples.size());
  pool_.ParallelFor(batch.n, [&](int64_t i, int) {
    const Result<data::Image> image = data::DecodeImage(samples[i].encoded);
    failures[i] = image.ok() ? data::Apply(preprocess_, *image, input_shape_,
                                           std::span(batch.input).subspan(i * elements_, elements_))
                             : image.status();
  });
  for (size_t i = 0; i < samples.size(); ++i) {
    if (!failures[i].ok()) {
      return failures[i].WithContext(fmt::format("image \"{}\"", samples[i].key));
    }
    batch.labels.push_back(samples[i].label);
    batch.keys.push_back(std::move(samples[i].key));
  }
  return {};
}

Status CheckLabels(const Batch& batch, int64_t classes) {
  for (int64_t i = 0; i < batch.n; ++i) {
    if (batch.labels[i] && (*batch.labels[i] < 0 || *batch.labels[i] >= classes)) {
      return InvalidField("evaluation_dataset",
                          "image \"{}\" has label {}; the model has {} outputs, labels 0 to {}",
                          batch.keys[i], *batch.labels[i], classes, classes - 1);
    }
  }
  return {};
}

}  // namespace haq::pipeline
