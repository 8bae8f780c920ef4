// A small real network on disk, and what it answers when the runtime is asked directly.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/artifact/model.h"

namespace haq::test {

// [3, 8, 8] -> 5 classes; other seeds, other weights. Preprocessing: shorter side 8, crop 8 x 8,
// pixel / 127.5 - 1.
artifact::Model SmallModel(uint64_t seed);
inline constexpr int64_t kSmallInput = 3 * 8 * 8;
inline constexpr int64_t kSmallClasses = 5;

// Floats in [-1, 1) that differ between samples.
std::vector<float> SmallInputs(int64_t batch, uint64_t seed = 7);
// Of a session that runs one sample at a time.
std::vector<float> DirectAnswers(const artifact::Model& model, std::span<const float> inputs);

// PNG files of random pixels, and what preprocessing makes of each.
std::vector<std::string> SmallPngs(int64_t count, uint64_t seed = 3);
std::vector<float> Preprocessed(const artifact::Model& model,
                                const std::vector<std::string>& images);

// A folder of its own, removed at the end.
class ModelFolder {
 public:
  ModelFolder();
  ~ModelFolder();
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path Save(const artifact::Model& model, const std::string& name) const;
  std::filesystem::path SaveBroken(const std::string& name) const;

 private:
  std::filesystem::path path_;
};

}  // namespace haq::test
