#include <chrono>
#include <nlohmann/json.hpp>

#include "core/base/json_text.h"
#include "core/base/version.h"
#include "core/eval/accuracy.h"
#include "core/pipeline/image_batches.h"
#include "core/pipeline/integer_runner.h"
#include "core/pipeline/pipeline.h"
#include "core/pipeline/report.h"

namespace haq::pipeline {
using nlohmann::json;

Result<std::string> EvaluateArtifact(artifact::Model model, data::SampleReader& evaluation,
                                     int64_t limit, Listener& listener,
                                     const CancellationToken& cancellation, bool self_test) {
  HAQ_ASSIGN_OR_RETURN(const auto preprocess, data::Preprocess::FromJson(model.preprocess_json));
  const std::vector<int64_t> input_shape = model.input_shape;
  ThreadPool pool;
  HAQ_ASSIGN_OR_RETURN(const auto runner, IntegerRunner::Create(std::move(model), pool, self_test));
  const int64_t classes = runner->output_elements();
  ImageBatches batches(evaluation, preprocess, input_shape, limit, pool);
  eval::Comparison comparison;
  std::vector<float> logits;
  const auto start = std::chrono::steady_clock::now();
  double seconds = 0;
  for (Batch batch;;) {
    HAQ_RETURN_IF_ERROR(cancellation.Check());
    HAQ_RETURN_IF_ERROR(batches.Next(batch));
    if (batch.n == 0) break;
    HAQ_RETURN_IF_ERROR(CheckLabels(batch, classes));
    logits.resize(batch.n * classes);
    HAQ_RETURN_IF_ERROR(runner->Run(batch.n, batch.input, logits));
    for (int64_t i = 0; i < batch.n; ++i) {
      const auto scores = std::span<const float>(logits).subspan(i * classes, classes);
      comparison.Add(scores, scores, batch.labels[i]);
    }
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    listener.OnProgress(
        {"evaluate", comparison.images(), limit, double(comparison.images()) / seconds});
  }
  if (comparison.images() == 0) return InvalidField("evaluation", "has no images");
  const json report = {
      {"version", kVersion},
      {"images", comparison.images()},
      {"labelled_images", comparison.labelled_images()},
      {"int8", AccuracyToJson(comparison.int8_top1(), comparison.int8_top1_interval(),
                              comparison.int8_top5())},
      {"images_per_second", double(comparison.images()) / seconds}};
  return JsonText(report);
}

}  // namespace haq::pipeline
