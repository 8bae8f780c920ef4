// Runs a .haq file on images for the comparison with other engines:
//   engine_logits ARTIFACT FOLDER LIMIT INPUTS LOGITS
// writes what the images become (floats [n, C, H, W]) to INPUTS and the integer engine's output
// (floats [n, classes]) to LOGITS. FOLDER has images in class folders, LIMIT 0 is all; or it is
// "random", for LIMIT random samples that fill the input's range.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <string>

#include "core/artifact/file.h"
#include "core/data/dataset.h"
#include "core/pipeline/image_batches.h"
#include "core/pipeline/integer_runner.h"

namespace {

using namespace haq;

void Append(std::ofstream& file, const std::vector<float>& values) {
  file.write(reinterpret_cast<const char*>(values.data()),
             static_cast<std::streamsize>(values.size() * sizeof(float)));
}

Status RunRandom(artifact::Model model, int64_t n, const std::string& inputs_file,
                 const std::string& logits_file) {
  const artifact::Tensor input = model.tensors[model.input];
  const int64_t elements = input.ElementCount() * n;
  std::mt19937 random(1);
  std::uniform_real_distribution<float> level(0, 255);
  std::vector<float> samples;
  for (int64_t i = 0; i < elements; ++i) {
    samples.push_back(input.scale * (level(random) - static_cast<float>(input.zero_point)));
  }
  ThreadPool pool(1);
  HAQ_ASSIGN_OR_RETURN(const auto runner,
                       pipeline::IntegerRunner::Create(std::move(model), pool, false));
  std::vector<float> output(n * runner->output_elements());
  HAQ_RETURN_IF_ERROR(runner->Run(n, samples, output));
  std::ofstream inputs(inputs_file, std::ios::binary), logits(logits_file, std::ios::binary);
  Append(inputs, samples);
  Append(logits, output);
  return inputs && logits ? Status() : InternalError("cannot write");
}

Status Run(char** arguments) {
  HAQ_ASSIGN_OR_RETURN(artifact::Model model, artifact::Load(arguments[0]));
  if (std::string(arguments[1]) == "random") {
    return RunRandom(std::move(model), std::atoll(arguments[2]), arguments[3], arguments[4]);
  }
  HAQ_ASSIGN_OR_RETURN(const auto preprocess, data::Preprocess::FromJson(model.preprocess_json));
  const std::vector<int64_t> shape = model.input_shape;
  HAQ_ASSIGN_OR_RETURN(const data::FolderListing listing, data::ListFolder(arguments[1], {}));
  const auto reader = data::ReadFolder(listing);
  ThreadPool pool(1);
  HAQ_ASSIGN_OR_RETURN(const auto runner,
                       pipeline::IntegerRunner::Create(std::move(model), pool, false));
  pipeline::ImageBatches batches(*reader, preprocess, shape, std::atoll(arguments[2]), pool);
  std::ofstream inputs(arguments[3], std::ios::binary), logits(arguments[4], std::ios::binary);
  std::vector<float> output;
  for (pipeline::Batch batch;;) {
    HAQ_RETURN_IF_ERROR(batches.Next(batch));
    if (batch.n == 0) break;
    output.resize(batch.n * runner->output_elements());
    HAQ_RETURN_IF_ERROR(runner->Run(batch.n, batch.input, output));
    Append(inputs, batch.input);
    Append(logits, output);
  }
  if (inputs && logits) return {};
  return InternalError("cannot write");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: engine_logits ARTIFACT FOLDER LIMIT INPUTS LOGITS\n");
    return 2;
  }
  const Status status = Run(argv + 1);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
