#include <algorithm>
#include <random>

#include "tests/support/model_builder.h"
#include "tests/support/random_models.h"

namespace haq::test {
namespace {

class NetworkMaker {
 public:
  explicit NetworkMaker(uint64_t seed)
      : random_(seed),
        wide_(OneIn(4)),
        builder_({Int(1, 14), Int(1, 14), OneIn(3) ? 3 : Int(1, 70)}, seed + 1, ZeroPoint(),
                 wide_ && OneIn(3)) {
    tensors_.push_back(builder_.input());
  }

  artifact::Model Make() {
    const int layers = Int(3, 16);
    for (int i = 0; i < layers; ++i) tensors_.push_back(Layer(Recent()));
    int32_t x = tensors_.back();
    if (OneIn(2)) {
      x = builder_.Linear(x, Int(1, 70), wide_ && OneIn(3));
      if (OneIn(2) && !IsWide(x)) x = builder_.Softmax(x);
    }
    return builder_.Finish(x);
  }

 private:
  int Int(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
  bool OneIn(int n) { return Int(1, n) == 1; }
  int32_t ZeroPoint() {
    constexpr int32_t kUsual[] = {0, 128, 255};
    return OneIn(3) ? Int(0, 255) : kUsual[Int(0, 2)];
  }
  const std::vector<int32_t>& Shape(int32_t x) const { return builder_.tensor(x).shape; }
  bool IsWide(int32_t x) const { return builder_.tensor(x).type == artifact::DataType::kUint16; }
  // Mostly the last tensor, sometimes one that others have read already.
  int32_t Recent() {
    if (!OneIn(4)) return tensors_.back();
    return tensors_[tensors_.size() - static_cast<size_t>(Int(
                                          1, std::min<int>(5, static_cast<int>(tensors_.size()))))];
  }
  // A tensor of that shape, -1 where there is none.
  int32_t OfShape(const std::vector<int32_t>& shape) {
    std::vector<int32_t> found;
    for (const int32_t tensor : tensors_) {
      if (Shape(tensor) == shape && (wide_ || !IsWide(tensor))) found.push_back(tensor);
    }
    return found.empty() ? -1 : found[static_cast<size_t>(Int(0, int(found.size()) - 1))];
  }

  int32_t Layer(int32_t x) {
    switch (Int(1, 14)) {
      case 1:
      case 2:
        return AddOf(x);
      case 3:
        return Inception(x);
      case 4:
        return Pool(x);
      case 5:
        return Move(x);
      case 6:
        return IsWide(x) ? Convolution(x) : builder_.Table(x);
      case 7:
        return Gate(x);
      default:
        return Convolution(x);
    }
  }

  int32_t Convolution(int32_t x) {
    constexpr int32_t kKernels[] = {1, 1, 2, 3, 3, 5, 7};
    const std::vector<int32_t> in = Shape(x);
    ConvOptions o;
    o.kernel = kKernels[Int(0, 6)];
    o.dilation = OneIn(4) ? Int(2, 3) : 1;
    o.stride = OneIn(3) ? Int(2, 3) : 1;
    const int32_t reach = o.dilation * (o.kernel - 1) + 1;
    o.padding = OneIn(3) ? Int(0, reach) : (reach - 1) / 2;
    o.padding = std::max(o.padding, (reach - std::min(in[0], in[1]) + 1) / 2);
    o.relu = !OneIn(3);
    o.wide = wide_ && OneIn(4);
    if (OneIn(3)) {  // depthwise, now and then with several outputs a channel
      o.groups = in[2];
      o.out_channels = in[2] * (OneIn(4) ? Int(2, 3) : 1);
    } else {
      o.groups = OneIn(4) ? Divisor(in[2]) : 1;
      o.out_channels = o.groups * Int(1, o.groups > 8 ? 3 : OneIn(4) ? 80 / o.groups : 20);
      if (OneIn(2) && in[2] % o.groups == 0) o.out_channels = in[2];
    }
    const auto side = [&](int32_t size) { return (size + 2 * o.padding - reach) / o.stride + 1; };
    if (OneIn(2)) o.residual = OfShape({side(in[0]), side(in[1]), o.out_channels});
    return builder_.Conv(x, o);
  }
  int32_t Divisor(int32_t n) {
    std::vector<int32_t> divisors;
    for (int32_t i = 1; i <= n; ++i) {
      if (n % i == 0) divisors.push_back(i);
    }
    return divisors[static_cast<size_t>(Int(0, int(divisors.size()) - 1))];
  }

  int32_t AddOf(int32_t x) {
    const int32_t other = OfShape(Shape(x));
    return builder_.Add(x, other < 0 ? x : other, wide_ && OneIn(4));
  }

  // Branches that are written where their concatenation wants them, and some that cannot be.
  int32_t Inception(int32_t x) {
    if (IsWide(x)) return Convolution(x);
    std::vector<int32_t> branches;
    const int count = Int(2, 4);
    for (int i = 0; i < count; ++i) {
      const int32_t kernel = OneIn(2) ? 1 : 3;
      const int32_t y = OneIn(4) ? builder_.MaxPool(x, 3, 1, 1) : x;
      branches.push_back(
          builder_.Conv(y, {.out_channels = Int(1, 40), .kernel = kernel, .padding = kernel / 2}));
      if (OneIn(3)) tensors_.push_back(branches.back());  // others may read it too
    }
    if (OneIn(4)) branches.push_back(branches.front());
    return builder_.Concat(branches, 2);
  }

  int32_t Pool(int32_t x) {
    const int32_t size = std::min(Shape(x)[0], Shape(x)[1]);
    const int32_t kernel = Int(1, std::min(4, size)), stride = Int(1, 3);
    const int32_t padding = Int(0, kernel / 2);
    return OneIn(2) ? builder_.MaxPool(x, kernel, stride, padding)
                    : builder_.AvgPool(x, kernel, stride, padding, OneIn(2));
  }

  int32_t Move(int32_t x) {
    const std::vector<int32_t> shape = Shape(x);
    switch (Int(1, 3)) {
      case 1:
        return builder_.Pad(x, {Int(0, 2), Int(0, 2), Int(0, 2)},
                            {Int(0, 2), Int(0, 2), Int(0, 2)});
      case 2: {
        const int32_t axis = Int(0, 2), start = Int(0, shape[static_cast<size_t>(axis)] - 1);
        const int32_t step = Int(1, 3);
        return builder_.Slice(x, axis, start, step,
                              (shape[static_cast<size_t>(axis)] - 1 - start) / step + 1);
      }
      default:
        return builder_.Transpose(
            x, OneIn(2) ? std::vector<int32_t>{1, 0, 2} : std::vector<int32_t>{0, 1, 2});
    }
  }

  // One factor or summand a channel.
  int32_t Gate(int32_t x) {
    if (Shape(x)[0] != Shape(x)[1]) return Convolution(x);
    const int32_t gate = builder_.GlobalAvgPool(x);
    if (IsWide(x) || OneIn(2)) return builder_.Add(x, gate, wide_ && OneIn(4));
    return builder_.Mul(x, gate);
  }

  std::mt19937_64 random_;
  const bool wide_;
  ModelBuilder builder_;
  std::vector<int32_t> tensors_;
};

}  // namespace

artifact::Model RandomNetwork(uint64_t seed) { return NetworkMaker(seed).Make(); }

}  // namespace haq::test
