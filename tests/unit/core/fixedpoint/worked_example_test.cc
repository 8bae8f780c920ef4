// The example of docs/integer_arithmetic.md, compiled and run: the page shows the lines between the
// marks.
#include <gtest/gtest.h>

#include "core/base/file.h"
#include "core/fixedpoint/requantize.h"

// [example]
#include <cmath>
#include <cstdio>

using haq::fixedpoint::ChannelRequantize;
using haq::fixedpoint::ChooseRequantize;
using haq::fixedpoint::LayerRequantize;
using haq::fixedpoint::Requantize;

int WorkedExample() {
  // Two inputs with s_x = 0.05, z_x = 110; weights 0.5 and -0.3 with s_w = 0.01; bias 0.7; the
  // output has s_y = 0.4, z_y = 100.
  const int w[2] = {50, -30}, x[2] = {210, 30};
  const double scale = 0.05 * 0.01 / 0.4;                         // (4) M = 0.00125
  const double constant = 0.7 / (0.05 * 0.01) - 110 * (50 - 30);  // (3) 1400 - 2200 = -800
  const LayerRequantize layer =
      ChooseRequantize({{scale, constant, 255 * -30, 255 * 50}}, {.zero_point = 100}).value();
  const ChannelRequantize& r = layer.channels[0];
  // M = 0.64 * 2^-9, so the setting is centred: multiplier 0.64 * 2^15, shift 9 - 7, and the bias
  // is -800 + (100 - 128) / M + 2^(shift - 1).
  std::printf("multiplier %d shift %d bias %d\n", r.multiplier, r.shift, r.bias);

  const int acc = r.bias + w[0] * x[0] + w[1] * x[1];  // -23198 + 9600 = -13598
  const int v = acc >> 2;                              // (6) -3400
  const int t = (v * 20972 + (1 << 14)) >> 15;         // (7) -2176
  const int u = (t + 64) >> 7;                         // (8) -17
  const int q = Requantize(acc, r, layer.tensor);
  std::printf("acc %d v %d t %d u %d q %d\n", acc, v, t, u, q);  // q = 128 - 17 = 111
  // In real numbers: 0.5 * 5 - 0.3 * -4 + 0.7 = 4.4 = 0.4 * (111 - 100).
  return q;
}
// [/example]

namespace {

std::string Between(const std::string& text, const std::string& begin, const std::string& end) {
  const size_t from = text.find(begin);
  if (from == std::string::npos) return "";
  const size_t to = text.find(end, from + begin.size());
  if (to == std::string::npos) return "";
  return text.substr(from + begin.size(), to - from - begin.size());
}

TEST(WorkedExample, ComesOutAsThePageSays) {
  testing::internal::CaptureStdout();
  EXPECT_EQ(WorkedExample(), 111);
  EXPECT_EQ(testing::internal::GetCapturedStdout(),
            "multiplier 20972 shift 2 bias -23198\n"
            "acc -13598 v -3400 t -2176 u -17 q 111\n");
}

TEST(WorkedExample, IsTheOneOnThePage) {
  const std::string source = haq::ReadTextFile(HAQ_EXAMPLE_SOURCE).value();
  const std::string page = haq::ReadTextFile(HAQ_EXAMPLE_DOC).value();
  const std::string compiled = Between(source, "// [example]\n", "// [/example]\n");
  ASSERT_FALSE(compiled.empty());
  EXPECT_EQ(compiled, Between(page, "```cpp\n", "```\n"));
}

}  // namespace
