#include "core/runtime/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "core/artifact/file.h"
#include "tests/support/model_builder.h"
#include "tests/support/random_models.h"
#include "tests/support/seed.h"

namespace haq::runtime {
namespace {

using testing::HasSubstr;

std::vector<float> RandomInput(int64_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<float> value(-2.5f, 3.0f);
  std::vector<float> input(count);
  for (float& x : input) x = value(random);
  return input;
}

class SessionTest : public testing::Test {
 protected:
  const std::shared_ptr<const LoadedModel> model_ =
      LoadedModel::Create(test::MobileNetV2Like(32, 10)).value();
  const int64_t inputs_ = model_->input_elements(), outputs_ = model_->output_elements();

  std::vector<float> RunOne(std::span<const float> input) {
    const auto session = Session::Create(model_).value();
    std::vector<float> output(outputs_);
    EXPECT_TRUE(session->Run(1, input, output).ok());
    return output;
  }
};

// Of the mapping of `path` in this process.
int64_t ResidentKilobytes(const std::filesystem::path& path) {
  std::ifstream maps("/proc/self/smaps");
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.find('-') < line.find(' ')) inside = line.ends_with(path.string());
    if (inside && line.starts_with("Rss:")) return std::stoll(line.substr(4));
  }
  return -1;
}

TEST_F(SessionTest, WeightsAreInMemoryOnce) {
  const std::filesystem::path path = testing::TempDir() + "haq_weights_once.haq";
  ASSERT_TRUE(artifact::Save(model_->model(), path).ok());
  const auto kilobytes = static_cast<int64_t>(std::filesystem::file_size(path) / 1024);
  ASSERT_GT(kilobytes, 500);
  const auto loaded = LoadedModel::Create(artifact::Load(path).value()).value();
  EXPECT_LT(ResidentKilobytes(path), kilobytes / 10);
  EXPECT_GE(ResidentKilobytes(path), 0);
  // What is read again comes from the file.
  const std::vector<float> input = RandomInput(inputs_, test::Seed());
  const auto session = Session::Create(loaded).value();
  std::vector<float> output(outputs_);
  ASSERT_TRUE(session->Run(1, input, output).ok());
  EXPECT_EQ(output, RunOne(input));
  std::filesystem::remove(path);
}

TEST_F(SessionTest, BatchEqualsSingleRuns) {
  constexpr int64_t kMax = 7;
  const std::vector<float> input = RandomInput(kMax * inputs_, test::Seed());
  const auto session = Session::Create(model_, kMax).value();
  std::vector<float> expected;
  for (int64_t i = 0; i < kMax; ++i) {
    const auto one = RunOne(std::span(input).subspan(i * inputs_, inputs_));
    expected.insert(expected.end(), one.begin(), one.end());
  }
  // In any order of sizes: nothing is left over from the run before.
  for (const int64_t n : {kMax, int64_t{1}, int64_t{3}, kMax, int64_t{2}}) {
    std::vector<float> output(n * outputs_);
    ASSERT_TRUE(session->Run(n, std::span(input).first(n * inputs_), output).ok());
    EXPECT_TRUE(std::equal(output.begin(), output.end(), expected.begin())) << n;
  }
  EXPECT_NE(std::vector<float>(expected.begin(), expected.begin() + outputs_),
            std::vector<float>(expected.begin() + outputs_, expected.begin() + 2 * outputs_));
}

TEST_F(SessionTest, SessionsRunInParallelOnOneModel) {
  constexpr int kThreads = 4, kRuns = 20;
  std::vector<std::vector<float>> inputs, expected;
  for (int i = 0; i < kThreads; ++i) {
    inputs.push_back(RandomInput(inputs_, test::Seed() + i));
    expected.push_back(RunOne(inputs.back()));
  }
  std::vector<int> wrong(kThreads, 0);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      const auto session = Session::Create(model_).value();
      std::vector<float> output(outputs_);
      for (int run = 0; run < kRuns; ++run) {
        const int which = (i + run) % kThreads;
        const bool ok = session->Run(1, inputs[which], output).ok();
        wrong[i] += !ok || output != expected[which];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, testing::Each(0));
}

TEST_F(SessionTest, FloatAndQuantizedRunsAgree) {
  const std::vector<float> input = RandomInput(inputs_, test::Seed());
  const auto session = Session::Create(model_).value();
  std::vector<uint8_t> stored_input, stored_output(outputs_);
  std::vector<float> output(outputs_);
  ASSERT_TRUE(session
                  ->Run(1, input, output,
                        [&](int32_t tensor, std::span<const uint8_t> bytes) {
                          if (tensor == model_->model().input) {
                            stored_input.assign(bytes.begin(), bytes.end());
                          }
                        })
                  .ok());
  ASSERT_TRUE(session->RunQuantized(1, stored_input, stored_output).ok());
  const artifact::Tensor& tensor = model_->model().tensors[model_->model().output];
  for (int64_t i = 0; i < outputs_; ++i) {
    EXPECT_EQ(output[i], static_cast<float>(stored_output[i] - tensor.zero_point) * tensor.scale);
  }
}

TEST_F(SessionTest, WrongSizesAreNamed) {
  const auto session = Session::Create(model_, 2).value();
  const auto expect = [&](int64_t n, size_t input, size_t output, const std::string& message) {
    const std::vector<float> in(input);
    std::vector<float> out(output);
    const Status status = session->Run(n, in, out);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), HasSubstr(message));
  };
  expect(0, 0, 0, "n: 0 samples, a number in [1, 2]");
  expect(-1, inputs_, outputs_, "n: -1");
  expect(3, 3 * inputs_, 3 * outputs_, "n: 3 samples");
  expect(1, inputs_ - 1, outputs_, "input: 3071 values for 1 samples of 3072");
  expect(2, inputs_, 2 * outputs_, "input");
  expect(1, inputs_, outputs_ + 1, "output: 11 values");
  std::vector<uint8_t> in(inputs_), out(outputs_ - 1);
  EXPECT_EQ(session->RunQuantized(1, in, out).code(), StatusCode::kInvalidArgument);
}

TEST_F(SessionTest, ArenaLimitIsKept) {
  const size_t bytes = model_->ArenaBytes(4);
  EXPECT_GT(bytes, model_->ArenaBytes(1));
  EXPECT_TRUE(Session::Create(model_, 4, bytes).ok());
  const Status status = Session::Create(model_, 4, bytes - 1).status();
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(status.message(), HasSubstr(std::to_string(bytes)));
  EXPECT_EQ(Session::Create(model_, int64_t{1} << 62).status().code(),
            StatusCode::kResourceExhausted);
  EXPECT_EQ(Session::Create(model_, 0).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Session::Create(model_, -1).status().code(), StatusCode::kInvalidArgument);
}

TEST(LoadedModel, RefusesWhatDoesNotVerify) {
  artifact::Model model = test::EveryOperator();
  model.layers[1].acc_max = 0;
  const Status status = LoadedModel::Create(std::move(model)).status();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_THAT(status.message(), HasSubstr("layer1"));
}

TEST(LoadedModel, SessionsKeepTheModelAlive) {
  auto model = LoadedModel::Create(test::EveryOperator()).value();
  const auto session = Session::Create(model).value();
  model.reset();
  std::vector<float> input(session->model().input_elements());
  std::vector<float> output(session->model().output_elements());
  EXPECT_TRUE(session->Run(1, input, output).ok());
  float sum = 0;
  for (const float p : output) sum += p;
  EXPECT_NEAR(sum, 1, 1e-3);  // EveryOperator ends in a softmax
}

// Threads, batches and kernels change who computes a value, never the value.
TEST(Session, AllThreadsAndKernelsGiveTheSameBits) {
  const auto bits = [](const artifact::Model& model, const kernels::KernelTable* kernels,
                       int threads, int64_t batch) {
    const auto loaded = LoadedModel::Create(model, kernels).value();
    EXPECT_EQ(loaded->kernel_path(), kernels->name);
    const auto session = Session::Create(loaded, 5, size_t{4} << 30, threads).value();
    EXPECT_EQ(session->threads(), threads);
    std::vector<float> input(batch * loaded->input_elements());
    for (size_t i = 0; i < input.size(); ++i) input[i] = std::sin(static_cast<float>(i));
    std::vector<float> output(batch * loaded->output_elements());
    for (int run = 0; run < 2; ++run) EXPECT_TRUE(session->Run(batch, input, output).ok());
    return output;
  };
  for (const artifact::Model& model : {test::EveryOperator(), test::MobileNetV2Like(32, 10)}) {
    for (const int64_t batch : {1, 2, 5}) {
      const auto expected = bits(model, &kernels::ReferenceKernels(), 1, batch);
      for (const kernels::KernelTable* kernels : kernels::SupportedKernels()) {
        for (const int threads : {1, 2, 3}) {
          EXPECT_EQ(bits(model, kernels, threads, batch), expected)
              << kernels->name << " threads " << threads << " batch " << batch;
        }
      }
    }
  }
}

TEST(Session, RefusesImpossibleThreads) {
  const auto model = LoadedModel::Create(test::EveryOperator()).value();
  for (const int threads : {0, -1, Session::kMaxThreads + 1}) {
    const Status status = Session::Create(model, 1, size_t{4} << 30, threads).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), testing::HasSubstr("threads"));
  }
}

}  // namespace
}  // namespace haq::runtime
