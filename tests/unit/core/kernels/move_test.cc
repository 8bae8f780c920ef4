#include <algorithm>
#include <numeric>

#include "tests/unit/core/kernels/kernel_test.h"

namespace haq::kernels {
namespace {

class MoveTest : public KernelTest {
 protected:
  Dims RandomDims() {
    Dims dims;
    dims.rank = Int(1, 5);
    for (int i = 0; i < dims.rank; ++i) dims.size[i] = Int(1, 6);
    return dims;
  }
  static int64_t Count(const Dims& dims) {
    int64_t count = 1;
    for (int i = 0; i < dims.rank; ++i) count *= dims.size[i];
    return count;
  }
};
HAQ_FOR_ALL_TABLES(MoveTest);

TEST_P(MoveTest, CopiedRowsAreTheConcatenation) {
  for (int i = 0; i < 500 && !HasFailure(); ++i) {
    const Dims first = RandomDims();
    const int axis = Int(0, first.rank - 1), count = Int(1, 4);
    std::vector<Dims> dims(count, first);
    std::vector<std::unique_ptr<test::GuardedBuffer>> in;
    std::vector<const uint8_t*> pointers;
    int64_t total = 0, rows = 1, inner = 1, axis_total = 0;
    for (int k = 0; k < axis; ++k) rows *= first.size[k];
    for (int k = axis + 1; k < first.rank; ++k) inner *= first.size[k];
    for (Dims& d : dims) {
      d.size[axis] = Int(1, 5);
      axis_total += d.size[axis];
      in.push_back(Levels(Count(d)));
      pointers.push_back(in.back()->data());
      total += Count(d);
    }
    std::vector<uint8_t> expected(total);
    definition::Concat(count, dims.data(), axis, pointers.data(), expected.data());
    const test::GuardedBuffer out(expected.size());
    int64_t start = 0;
    for (int k = 0; k < count; ++k) {
      const int64_t row = dims[k].size[axis] * inner;
      table().copy_rows(rows, row, axis_total * inner, pointers[k], out.data() + start);
      start += row;
    }
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), out.data()));
  }
}

TEST_P(MoveTest, PadEqualsTheDefinition) {
  for (int i = 0; i < 500 && !HasFailure(); ++i) {
    const Dims dims = RandomDims();
    Dims out_dims = dims;
    int32_t before[kMaxRank], after[kMaxRank];
    for (int k = 0; k < dims.rank; ++k) {
      before[k] = Int(0, 2), after[k] = Int(0, 2);
      out_dims.size[k] += before[k] + after[k];
    }
    const auto in = Levels(Count(dims));
    std::vector<uint8_t> expected(Count(out_dims));
    definition::Pad(dims, before, after, 77, in->data(), expected.data());
    const test::GuardedBuffer out(expected.size());
    table().pad(dims, before, after, 77, in->data(), out.data());
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), out.data()));
  }
}

TEST_P(MoveTest, SliceEqualsTheDefinition) {
  for (int i = 0; i < 500 && !HasFailure(); ++i) {
    const Dims dims = RandomDims();
    const int axis = Int(0, dims.rank - 1);
    const int start = Int(0, dims.size[axis] - 1), step = Int(1, 3);
    const int count = Int(1, (dims.size[axis] - 1 - start) / step + 1);
    Dims out_dims = dims;
    out_dims.size[axis] = count;
    const auto in = Levels(Count(dims));
    std::vector<uint8_t> expected(Count(out_dims));
    definition::Slice(dims, axis, start, step, count, in->data(), expected.data());
    const test::GuardedBuffer out(expected.size());
    table().slice(dims, axis, start, step, count, in->data(), out.data());
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), out.data()));
  }
}

TEST_P(MoveTest, TransposeEqualsTheDefinition) {
  for (int i = 0; i < 500 && !HasFailure(); ++i) {
    const Dims dims = RandomDims();
    std::vector<int32_t> order(dims.rank);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), random_);
    const auto in = Levels(Count(dims));
    std::vector<uint8_t> expected(in->size());
    definition::Transpose(dims, order.data(), in->data(), expected.data());
    const test::GuardedBuffer out(expected.size());
    table().transpose(dims, order.data(), in->data(), out.data());
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), out.data()));
  }
}

}  // namespace
}  // namespace haq::kernels
