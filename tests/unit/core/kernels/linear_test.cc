#include <cmath>

#include "tests/unit/core/kernels/kernel_test.h"

namespace haq::kernels {
namespace {

class LinearTest : public KernelTest {
 protected:
  std::vector<uint8_t> Check(const LinearShape& s, int64_t rows) {
    const auto in = Levels(rows * s.inputs);
    const auto weight = Weights(s.outputs, s.inputs);
    const TensorRequantize tensor = RandomTensor();
    const auto channels =
        RandomChannels(s.outputs, 127.0 * 74 * std::sqrt(static_cast<double>(s.inputs)), tensor);
    std::vector<uint8_t> expected(rows * s.outputs);
    definition::Linear(s, Signed(*weight), channels.data(), tensor, rows, in->data(),
                       expected.data());

    const LinearKernel& kernel = table().linear;
    const auto packed = Scratch(kernel.packed_bytes(s));
    const auto workspace = Scratch(kernel.workspace_bytes(s));
    const test::GuardedBuffer out(expected.size());
    kernel.pack(s, channels.data(), packed->data());
    const int32_t parts = OneIn(3) ? Int(2, 5) : 1;
    for (int32_t part = 0; part < parts; ++part) {
      kernel.run(s, tensor, packed->data(), Signed(*weight), rows, in->data(), out.data(),
                 workspace->data(), {part, parts});
    }
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), out.data()))
        << rows << " x " << s.inputs << " -> " << s.outputs;
    return expected;
  }
};
HAQ_FOR_ALL_TABLES(LinearTest);

TEST_P(LinearTest, EqualsTheDefinition) {
  Interior interior;
  for (int i = 0; i < 2000 && !HasFailure(); ++i) {
    interior.Count(Check({Int(1, OneIn(20)  ? 5000
                                 : OneIn(4) ? 300
                                            : 80),
                          Int(1, OneIn(4) ? 70 : 40)},
                         Int(1, OneIn(8) ? 17 : 9)));
  }
  EXPECT_GT(interior.fraction(), 0.4);
}

TEST_P(LinearTest, LongestSums) { Check({25088, 21}, 2); }

}  // namespace
}  // namespace haq::kernels
