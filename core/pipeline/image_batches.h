// A dataset as preprocessed batches: reads, decodes and preprocesses on all threads, in the
// dataset's order.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/base/thread_pool.h"
#include "core/data/dataset.h"
#include "core/data/preprocess.h"

namespace haq::pipeline {

struct Batch {
  int64_t n = 0;
  std::vector<float> input;  // [n, C, H, W]
  std::vector<std::optional<int64_t>> labels;
  std::vector<std::string> keys;
};

// How many images are run at a time: enough to keep the cores busy, few enough for the cache. It
// depends on the network's input alone, because FP32 kernels may round differently for other batch
// sizes and every run of a job has to give the same bits.
int64_t BatchImages(const std::vector<int64_t>& input_shape);

class ImageBatches {
 public:
  // `limit` 0 is no limit. References must outlive the object.
  ImageBatches(data::SampleReader& reader, const data::Preprocess& preprocess,
               std::vector<int64_t> input_shape, int64_t limit, ThreadPool& pool);

  // Reads past the first `count` images without decoding them; kDataLoss when there are fewer.
  Status Skip(int64_t count);
  // The next images, up to BatchImages; n is 0 at the end. Errors name the image.
  Status Next(Batch& batch);

 private:
  data::SampleReader& reader_;
  const data::Preprocess& preprocess_;
  const std::vector<int64_t> input_shape_;
  const int64_t elements_;
  int64_t left_;
  ThreadPool& pool_;
};

// kInvalidArgument names the image whose label is not in [0, classes); images without label pass.
Status CheckLabels(const Batch& batch, int64_t classes);

}  // namespace haq::pipeline
