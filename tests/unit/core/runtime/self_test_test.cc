#include "core/runtime/self_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/model_builder.h"
#include "tests/support/random_models.h"

namespace haq::runtime {
namespace {

using testing::AllOf;
using testing::HasSubstr;

artifact::Model WithGolden(artifact::Model model) {
  model.golden = MakeGolden(model).value();
  return model;
}

Status TestOn(const artifact::Model& model, const kernels::KernelTable* kernels, int threads = 1) {
  const auto loaded = LoadedModel::Create(model, kernels).value();
  const auto session = Session::Create(loaded, 2, size_t{1} << 30, threads).value();
  return SelfTest(*session);
}

TEST(SelfTest, GoldenInputsAreThoseOfThePage) {
  const artifact::Tensor bytes{"x", artifact::DataType::kUint8, {2, 2, 3}};
  const std::vector<uint8_t> expected = {0xc1, 0x5c, 0x02, 0x89, 0xec, 0x2d,
                                         0x0a, 0x91, 0x67, 0xec, 0x8e, 0x65};
  EXPECT_EQ(GoldenInput(bytes, 1), expected);
  const artifact::Tensor words{"x", artifact::DataType::kUint16, {6}};
  EXPECT_EQ(GoldenInput(words, 1), expected);
  EXPECT_NE(GoldenInput(bytes, 2), expected);
}

TEST(SelfTest, EveryPathAndNumberOfThreadsPasses) {
  for (const artifact::Model& model :
       {WithGolden(test::MobileNetV2Like(32, 10)), WithGolden(test::EveryOperator()),
        WithGolden(test::EveryWideOperator())}) {
    EXPECT_GE(model.golden.size(), 2u);
    EXPECT_NE(model.golden[0].output_sha256, model.golden[1].output_sha256);
    for (const kernels::KernelTable* kernels : kernels::SupportedKernels()) {
      for (const int threads : {1, 3}) {
        EXPECT_TRUE(TestOn(model, kernels, threads).ok()) << kernels->name;
      }
    }
  }
}

TEST(SelfTest, AModelWithoutGoldenInputsPasses) {
  EXPECT_TRUE(TestOn(test::EveryOperator(), nullptr).ok());
}

TEST(SelfTest, AnotherDigestIsRefused) {
  for (const size_t at : {0, 1}) {
    artifact::Model model = WithGolden(test::MobileNetV2Like(32, 10));
    model.golden[at].output_sha256[31] ^= 1;
    const Status status = TestOn(model, &kernels::ReferenceKernels());
    EXPECT_EQ(status.code(), StatusCode::kInternal);
    EXPECT_THAT(status.message(),
                AllOf(HasSubstr("the self-test failed"), HasSubstr("on the \"scalar\" kernels"),
                      HasSubstr(fmt::format("of seed {}", model.golden[at].seed)),
                      HasSubstr(ToHex(model.golden[at].output_sha256))));
  }
}

// A kernel that is off by one level in one place of its output.
void WrongAdd(const kernels::PairShape& shape, const kernels::AddRequantize& requantize,
              const uint8_t* a, const uint8_t* b, uint8_t* out) {
  kernels::ReferenceKernels().add(shape, requantize, a, b, out);
  out[0] = out[0] == 0 ? 1 : out[0] - 1;
}

TEST(SelfTest, AWrongKernelIsRefused) {
  test::ModelBuilder builder({4, 4, 8}, 1);
  const artifact::Model model =
      WithGolden(builder.Finish(builder.Add(builder.input(), builder.input())));
  kernels::KernelTable wrong = kernels::ReferenceKernels();
  EXPECT_TRUE(TestOn(model, &wrong).ok());
  wrong.name = "wrong";
  wrong.add = &WrongAdd;
  const Status status = TestOn(model, &wrong);
  EXPECT_EQ(status.code(), StatusCode::kInternal);
  EXPECT_THAT(status.message(), HasSubstr("on the \"wrong\" kernels"));
}

}  // namespace
}  // namespace haq::runtime
