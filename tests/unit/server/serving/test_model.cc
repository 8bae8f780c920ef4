#include "tests/unit/server/serving/test_model.h"

#include <stdlib.h>

#include <cstdio>
#include <cstdlib>
#include <opencv2/imgcodecs.hpp>
#include <random>

#include "core/artifact/file.h"
#include "core/base/file.h"
#include "core/data/preprocess.h"
#include "core/runtime/session.h"
#include "tests/support/model_builder.h"

namespace haq::test {
namespace {

template <typename T>
T Must(Result<T> result) {
  return std::move(result).value();
}
void Must(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::abort();
}

}  // namespace

artifact::Model SmallModel(uint64_t seed) {
  ModelBuilder b({8, 8, 3}, seed);
  int32_t x = b.Conv(b.input(), {.out_channels = 8, .kernel = 3, .stride = 2, .padding = 1});
  x = b.Conv(x, {.out_channels = 8, .kernel = 3, .padding = 1, .groups = 8});
  x = b.Reshape(x, {128});
  artifact::Model model = b.Finish(b.Linear(x, kSmallClasses));
  model.input_shape = {3, 8, 8};
  model.preprocess_json =
      R"({"resize": {"shorter_side": 8}, "center_crop": [8, 8], "scale": 0.00784313725,)"
      R"( "mean": [1, 1, 1]})";
  model.class_names = {"a", "b", "c", "d", "e"};
  return model;
}

std::vector<float> SmallInputs(int64_t batch, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<float> values(-1, 1);
  std::vector<float> inputs(static_cast<size_t>(batch * kSmallInput));
  for (float& value : inputs) value = values(random);
  return inputs;
}

std::vector<float> DirectAnswers(const artifact::Model& model, std::span<const float> inputs) {
  const auto session = Must(runtime::Session::Create(Must(runtime::LoadedModel::Create(model))));
  const size_t batch = inputs.size() / kSmallInput;
  std::vector<float> answers(batch * kSmallClasses);
  for (size_t i = 0; i < batch; ++i) {
    Must(session->Run(1, inputs.subspan(i * kSmallInput, kSmallInput),
                      std::span(answers).subspan(i * kSmallClasses, kSmallClasses)));
  }
  return answers;
}

std::vector<std::string> SmallPngs(int64_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::string> images;
  for (int64_t i = 0; i < count; ++i) {
    cv::Mat pixels(11 + static_cast<int>(i), 13, CV_8UC3);
    for (size_t at = 0; at < pixels.total() * 3; ++at) {
      pixels.data[at] = static_cast<uint8_t>(random());
    }
    std::vector<uint8_t> bytes;
    cv::imencode(".png", pixels, bytes);
    images.emplace_back(bytes.begin(), bytes.end());
  }
  return images;
}

std::vector<float> Preprocessed(const artifact::Model& model,
                                const std::vector<std::string>& images) {
  const auto preprocess = Must(data::Preprocess::FromJson(model.preprocess_json));
  std::vector<float> floats(images.size() * kSmallInput);
  for (size_t i = 0; i < images.size(); ++i) {
    const std::span bytes(reinterpret_cast<const uint8_t*>(images[i].data()), images[i].size());
    Must(data::Apply(preprocess, Must(data::DecodeImage(bytes)), model.input_shape,
                     std::span(floats).subspan(i * kSmallInput, kSmallInput)));
  }
  return floats;
}

ModelFolder::ModelFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "haq-serving-XXXXXX").string();
  path_ = mkdtemp(name.data());
}

ModelFolder::~ModelFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path ModelFolder::Save(const artifact::Model& model,
                                        const std::string& name) const {
  Must(artifact::Save(model, path_ / name));
  return path_ / name;
}

std::filesystem::path ModelFolder::SaveBroken(const std::string& name) const {
  auto bytes = Must(artifact::Serialize(SmallModel(1)));
  bytes[bytes.size() / 2] ^= 1;
  Must(WriteFileDurably(path_ / name, bytes));
  return path_ / name;
}

}  // namespace haq::test
