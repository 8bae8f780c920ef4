// Networks of random structure, on every kernel table, with several threads and batches: the bits
// are those of the naive evaluation.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "core/runtime/session.h"
#include "tests/support/random_models.h"
#include "tests/support/seed.h"
#include "tests/unit/core/runtime/naive.h"

namespace haq::runtime {
namespace {

std::vector<float> Real(const artifact::Tensor& tensor, const std::vector<uint8_t>& bytes) {
  std::vector<float> real;
  const auto width = static_cast<size_t>(artifact::LevelBytes(tensor.type));
  for (size_t i = 0; i < bytes.size(); i += width) {
    uint16_t level = bytes[i];
    if (width == 2) std::memcpy(&level, &bytes[i], 2);
    real.push_back(static_cast<float>(level - tensor.zero_point) * tensor.scale);
  }
  return real;
}

// The source's order of an image, [C, H, W], from the stored [H, W, C].
std::vector<float> ToPlanes(const artifact::Tensor& tensor, const std::vector<float>& stored) {
  if (tensor.shape.size() != 3) return stored;
  const auto channels = static_cast<size_t>(tensor.shape[2]);
  const size_t pixels = static_cast<size_t>(tensor.ElementCount()) / channels;
  std::vector<float> planes;
  for (size_t image = 0; image < stored.size(); image += pixels * channels) {
    for (size_t c = 0; c < channels; ++c) {
      for (size_t p = 0; p < pixels; ++p) planes.push_back(stored[image + p * channels + c]);
    }
  }
  return planes;
}

class RandomNetworkTest : public testing::Test {
 protected:
  RandomNetworkTest() : random_(test::Seed()) {}
  int Int(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  // Input and output of `batch` samples of the model.
  struct Samples {
    int64_t batch = 0;
    std::vector<uint8_t> input, output;
  };
  Samples Evaluate(const artifact::Model& model, int64_t batch) {
    Samples samples{batch, {}, {}};
    const artifact::Tensor& in = model.tensors[model.input];
    const auto bytes = static_cast<size_t>(in.ElementCount() * artifact::LevelBytes(in.type));
    for (int64_t i = 0; i < batch; ++i) {
      std::vector<uint8_t> input(bytes);
      for (uint8_t& level : input) level = static_cast<uint8_t>(random_());
      const auto output = test::EvaluateNaively(model, input)[model.output];
      samples.input.insert(samples.input.end(), input.begin(), input.end());
      samples.output.insert(samples.output.end(), output.begin(), output.end());
    }
    return samples;
  }

  std::mt19937_64 random_;
};

TEST_F(RandomNetworkTest, EveryPathHasTheBitsOfTheDefinition) {
  for (int i = 0; i < 25 && !HasFailure(); ++i) {
    const uint64_t seed = random_();
    const artifact::Model model = test::RandomNetwork(seed);
    const Samples samples = Evaluate(model, i % 4 == 0 ? Int(4, 17) : Int(1, 3));
    const artifact::Tensor &in = model.tensors[model.input], &out = model.tensors[model.output];
    const std::vector<float> real_input = ToPlanes(in, Real(in, samples.input));
    const std::vector<float> real_output = ToPlanes(out, Real(out, samples.output));
    for (const kernels::KernelTable* kernels : kernels::SupportedKernels()) {
      const auto loaded = LoadedModel::Create(model, kernels).value();
      for (const int threads : {1, 2, 3, 7}) {
        const std::string name = std::string(kernels->name) + " threads " +
                                 std::to_string(threads) + " batch " +
                                 std::to_string(samples.batch) + " network " + std::to_string(seed);
        const auto session =
            Session::Create(loaded, samples.batch + Int(0, 1), size_t{4} << 30, threads).value();
        std::vector<uint8_t> output(samples.output.size());
        ASSERT_TRUE(session->RunQuantized(samples.batch, samples.input, output).ok()) << name;
        EXPECT_EQ(output, samples.output) << name;
        // In pieces.
        std::vector<float> real(real_output.size());
        ASSERT_TRUE(session->Run(samples.batch, real_input, real).ok()) << name;
        EXPECT_EQ(real, real_output) << name;
      }
    }
  }
}

}  // namespace
}  // namespace haq::runtime
