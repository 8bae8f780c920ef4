#include <gtest/gtest.h>

#include "tests/unit/core/import/torchscript/script.h"

namespace haq::import {
namespace {

using Buffers = std::vector<std::pair<std::string, std::vector<int64_t>>>;

struct Case {
  std::string expression;  // of x, or statements that end in "return"
  std::vector<int64_t> shape;
  std::string kinds;
  Buffers buffers;
};

void PrintTo(const Case& c, std::ostream* stream) { *stream << c.expression; }

std::string Source(const std::string& expression) {
  if (expression.find("return") != std::string::npos) {
    return "def forward(self, x):\n  " + expression;
  }
  return "def forward(self, x):\n  return " + expression + "\n";
}

class OperatorTest : public testing::TestWithParam<Case> {};

// Scripted; the operators that are left, and their values.
TEST_P(OperatorTest, GivesWhatLibTorchGives) {
  const Case& c = GetParam();
  SCOPED_TRACE(c.expression);
  EXPECT_EQ(ImportAndCompare(MakeModule(Source(c.expression), c.buffers), c.shape), c.kinds);
}

const Buffers kConv = {{"w", {6, 4, 3, 3}}, {"b", {6}}};
const Buffers kGrouped = {{"w", {6, 2, 3, 2}}, {"b", {6}}};
const Buffers kNorm = {{"w", {4}}, {"b", {4}}, {"mean", {4}}, {"var", {4}}};
const Buffers kLinear = {{"w", {5, 12}}, {"b", {5}}};

INSTANTIATE_TEST_SUITE_P(
    Convolutions, OperatorTest,
    testing::Values(
        Case{"torch.conv2d(x, self.w, self.b)", {4, 7, 9}, "conv2d", kConv},
        Case{"torch.conv2d(x, self.w, None, [2, 3], [1, 2], [2, 1])", {4, 9, 9}, "conv2d", kConv},
        Case{"torch.conv2d(x, self.w, self.b, 2, 1)", {4, 9, 9}, "conv2d", kConv},
        Case{"torch.conv2d(x, self.w, self.b, [1], [1], [1], 2)", {4, 6, 7}, "conv2d", kGrouped},
        Case{"torch.conv2d(x, self.w, self.b, [1, 1], 'same', [1, 3], 2)",
             {4, 6, 9},
             "conv2d",
             kGrouped},
        Case{"torch.conv2d(x, self.w, self.b, [1, 1], 'valid')", {4, 6, 9}, "conv2d", kConv},
        Case{"torch._convolution(x, self.w, self.b, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, "
             "False, False, True, True)",
             {4, 6, 9},
             "conv2d",
             kConv},
        Case{"torch.conv2d(x, self.w, self.b, 1, 0, 1, 4)",
             {4, 6, 9},
             "conv2d",
             Buffers{{"w", {8, 1, 3, 3}}, {"b", {8}}}},
        Case{"torch.relu_(torch.conv2d(torch.constant_pad_nd(x, [0, 1, 2, 0], 0.), self.w, "
             "self.b, 2))",
             {4, 6, 9},
             "conv2d clamp",
             kConv}));

INSTANTIATE_TEST_SUITE_P(
    Norms, OperatorTest,
    testing::Values(
        Case{"torch.batch_norm(x, self.w, self.b, self.mean, self.var, False, 0.1, 1e-3, True)",
             {4, 3, 5},
             "channel_affine",
             kNorm},
        Case{"torch.batch_norm(x, None, None, self.mean, self.var, False, 0.1, 1e-5, True)",
             {4},
             "channel_affine",
             kNorm},
        Case{"torch.batch_norm(torch.conv2d(x, self.k), self.w, self.b, self.mean, self.var, "
             "False, 0.1, 1e-3, True)",
             {3, 6, 5},
             "conv2d",
             Buffers{{"k", {4, 3, 3, 3}}, {"w", {4}}, {"b", {4}}, {"mean", {4}}, {"var", {4}}}}));

INSTANTIATE_TEST_SUITE_P(
    Linears, OperatorTest,
    testing::Values(
        Case{"torch.linear(x, self.w, self.b)", {12}, "linear", kLinear},
        Case{"torch.linear(x, self.w)", {12}, "linear", kLinear},
        Case{"torch.linear(x, self.w, self.b)", {3, 12}, "linear", kLinear},
        Case{"torch.addmm(self.b, x, self.w.t(), beta=0.5, alpha=2)", {12}, "linear", kLinear},
        Case{"torch.matmul(x, self.w.t()) + self.b", {12}, "linear", kLinear},
        Case{"torch.mm(x, torch.t(self.w))", {12}, "linear", kLinear},
        Case{"torch.matmul(x, self.w.t())", {2, 3, 12}, "linear", kLinear}));

INSTANTIATE_TEST_SUITE_P(
    Activations, OperatorTest,
    testing::Values(Case{"torch.relu(x)", {3, 4}, "clamp", {}},
                    Case{"torch.relu_(x * 2)", {3, 4}, "channel_affine clamp", {}},
                    Case{"torch.relu6(x)", {3, 4}, "clamp", {}},
                    Case{"torch.hardtanh(x, -1.5, 2.)", {3, 4}, "clamp", {}},
                    Case{"torch.hardtanh_(x + 0, 0., 6.)", {3, 4}, "clamp", {}},
                    Case{"torch.clamp(x, -1, 2)", {3, 4}, "clamp", {}},
                    Case{"torch.clamp(x, max=1.5)", {3, 4}, "clamp", {}},
                    Case{"torch.clamp(x, min=-0.5)", {3, 4}, "clamp", {}},
                    Case{"torch.clamp_min(x, 0.25)", {3, 4}, "clamp", {}},
                    Case{"torch.clamp_max_(x + 0., 0.25)", {3, 4}, "clamp", {}},
                    Case{
                        "torch.clamp(x, torch.tensor(-1.), torch.tensor(1.))", {3, 4}, "clamp", {}},
                    Case{"torch.threshold(x, 0.5, 0.5)", {3, 4}, "clamp", {}},
                    Case{"torch.leaky_relu(x, 0.2)", {3, 4}, "leaky_relu", {}},
                    Case{"torch.leaky_relu_(x * 1., 0.2)", {3, 4}, "leaky_relu", {}},
                    Case{"torch.sigmoid(x)", {3, 4}, "sigmoid", {}},
                    Case{"x.sigmoid_()", {3, 4}, "sigmoid", {}},
                    Case{"torch.hardsigmoid(x)", {3, 4}, "hard_sigmoid", {}},
                    Case{"torch.silu(x)", {3, 4}, "silu", {}},
                    Case{"x * torch.sigmoid(x)", {3, 4}, "silu", {}},
                    Case{"torch.hardswish(x)", {3, 4}, "hard_swish", {}},
                    Case{"x * torch.relu6(x + 3) / 6", {3, 4}, "hard_swish", {}},
                    Case{"x * (torch.hardtanh(x + 3., 0., 6.) / 6.)", {3, 4}, "hard_swish", {}},
                    Case{"torch.tanh(x)", {3, 4}, "tanh", {}},
                    Case{"torch.prelu(x, self.a)", {3, 4, 4}, "leaky_relu", Buffers{{"a", {1}}}},
                    Case{"torch.prelu(x, self.a)",
                         {3, 4, 4},
                         "clamp clamp channel_affine add",
                         Buffers{{"a", {3}}}},
                    Case{"torch.softmax(x, 1)", {5}, "softmax", {}},
                    Case{"torch.softmax(x, -2)", {5, 3, 2}, "softmax", {}}));

INSTANTIATE_TEST_SUITE_P(
    Arithmetic, OperatorTest,
    testing::Values(
        Case{"x + torch.tanh(x)", {3, 4}, "tanh add", {}},
        Case{"torch.add(x, torch.tanh(x), alpha=-2)", {3, 4}, "tanh channel_affine add", {}},
        Case{"x - torch.tanh(x)", {3, 4}, "tanh channel_affine add", {}},
        Case{"x * torch.tanh(x)", {3, 4}, "tanh mul", {}},
        Case{"y = torch.tanh(x)\n  y += x\n  return y\n", {3, 4}, "tanh add", {}},
        Case{"x * torch.mean(x, [2, 3], True)", {3, 4, 4}, "avg_pool2d mul", {}},
        Case{"torch.mean(x, [2, 3], True).expand_as(x) + x", {3, 4, 4}, "avg_pool2d add", {}},
        Case{"2.5 * x - 1", {3, 4}, "channel_affine", {}},
        Case{"torch.rsub(x, 4, 0.5)", {3, 4}, "channel_affine", {}},
        Case{"1 - x", {3}, "channel_affine", {}},
        Case{"torch.sub(self.c, x, alpha=3)",
             {3, 4, 5},
             "channel_affine",
             Buffers{{"c", {3, 1, 1}}}},
        Case{"(x - self.c) / self.d",
             {3, 4, 5},
             "channel_affine",
             Buffers{{"c", {1, 3, 1, 1}}, {"d", {3, 1, 1}}}},
        Case{"x * self.c", {3, 4, 5}, "reshape channel_affine reshape", Buffers{{"c", {5}}}},
        Case{"x + self.c", {3, 4, 5}, "reshape channel_affine reshape", Buffers{{"c", {3, 4, 5}}}},
        Case{"x * self.c", {5}, "channel_affine", Buffers{{"c", {5}}}},
        Case{"-x", {3}, "channel_affine", {}}, Case{"torch.square(x)", {3}, "mul", {}},
        Case{"x.div_(4).mul_(3).sub_(1)", {3}, "channel_affine", {}}));

INSTANTIATE_TEST_SUITE_P(
    Pooling, OperatorTest,
    testing::Values(
        Case{"torch.max_pool2d(x, 2)", {3, 7, 8}, "max_pool2d", {}},
        Case{"torch.max_pool2d(x, [3, 3], [2, 2], [1, 1])", {3, 8, 8}, "max_pool2d", {}},
        Case{"torch.max_pool2d(x, [3, 2], [2, 3], [1, 0], [1, 2], True)",
             {3, 8, 8},
             "max_pool2d",
             {}},
        Case{"torch.max_pool2d(x, 3, 2, 0, 1, True)", {3, 8, 8}, "max_pool2d", {}},
        Case{"torch.max_pool2d(x, 2, 3, 1, 1, True)", {3, 8, 9}, "max_pool2d", {}},
        Case{"torch.max_pool2d_with_indices(x, 2)[0]", {3, 7, 8}, "max_pool2d", {}},
        Case{"torch.avg_pool2d(x, 2)", {3, 7, 8}, "avg_pool2d", {}},
        Case{"torch.avg_pool2d(x, [3, 3], [1, 1], [1, 1])", {3, 7, 8}, "avg_pool2d", {}},
        Case{"torch.avg_pool2d(x, 3, 2, 1, False, False)", {3, 8, 9}, "avg_pool2d", {}},
        Case{"torch.avg_pool2d(x, 3, 2, 0, True)", {3, 8, 9}, "avg_pool2d", {}},
        Case{"torch.avg_pool2d(x, 3, 2, 1, True, False)", {3, 8, 9}, "avg_pool2d", {}},
        Case{"torch.avg_pool2d(x, 3, 2, 1, True, True)", {3, 8, 8}, "pad avg_pool2d", {}},
        Case{"torch.avg_pool2d(x, 3, 2, 1, True, True)", {3, 9, 9}, "avg_pool2d", {}},
        Case{"torch.avg_pool2d(x, 3, 2, 1, False, True, 5)", {3, 9, 9}, "avg_pool2d", {}},
        Case{"torch.adaptive_avg_pool2d(x, 1)", {3, 5, 6}, "avg_pool2d", {}},
        Case{"torch.adaptive_avg_pool2d(x, [3, 4])", {3, 5, 7}, "avg_pool2d", {}},
        Case{"torch.adaptive_avg_pool2d(x, [7, 7])", {3, 2, 3}, "avg_pool2d", {}},
        Case{"torch.adaptive_max_pool2d(x, 2)[0]", {3, 4, 6}, "max_pool2d", {}},
        Case{"torch.mean(x, [2, 3])", {3, 5, 6}, "avg_pool2d reshape", {}},
        Case{"torch.mean(x, [-1, -2], True)", {3, 5, 6}, "avg_pool2d", {}},
        Case{"torch.mean(x, [3])", {3, 5, 6}, "avg_pool2d reshape", {}},
        Case{"torch.mean(x, 1)", {6, 4}, "reshape avg_pool2d reshape", {}},
        Case{"torch.mean(x, 1, True)", {6, 4, 5}, "reshape avg_pool2d reshape", {}},
        Case{"torch.mean(x.flatten(2), -1)", {6, 4, 5}, "reshape avg_pool2d reshape", {}},
        Case{"torch.sum(x, [2, 3])", {6, 4, 5}, "avg_pool2d reshape", {}}));

INSTANTIATE_TEST_SUITE_P(
    Shapes, OperatorTest,
    testing::Values(
        Case{"torch.flatten(x, 1)", {3, 4, 5}, "reshape", {}},
        Case{"torch.flatten(torch.tanh(torch.conv2d(x, self.w)), 1)",
             {4, 5, 6},
             "conv2d tanh reshape",
             Buffers{{"w", {6, 4, 3, 3}}}},
        Case{"x.view(x.size(0), -1)", {3, 4, 5}, "reshape", {}},
        Case{"x.reshape([-1, 60])", {3, 4, 5}, "reshape", {}},
        Case{"x.view(x.shape[0], 3, x.shape[2] * x.shape[3])", {3, 4, 5}, "reshape", {}},
        Case{"torch.tanh(x).squeeze()", {5, 1, 1}, "tanh reshape", {}},
        Case{"torch.tanh(x).squeeze(-1).squeeze(2)", {5, 1, 1}, "tanh reshape", {}},
        Case{"torch.tanh(x).squeeze(1)", {5, 1, 1}, "tanh", {}},
        Case{"x.unsqueeze(1).unsqueeze_(-1)", {5}, "reshape", {}},
        Case{"x.permute(0, 2, 3, 1)", {3, 4, 5}, "permute", {}},
        Case{"x.transpose(1, -1).contiguous()", {3, 4, 5}, "permute", {}},
        Case{"x.transpose(1, 2)", {1, 5}, "reshape", {}},
        Case{"torch.tanh(x.view(-1, 2, 3, 4, 5).transpose(1, 2).contiguous().view(-1, 6, 4, 5))",
             {6, 4, 5},
             "reshape permute reshape tanh",
             {}},
        Case{"torch.channel_shuffle(x, 2)", {6, 4, 5}, "reshape permute reshape", {}},
        Case{"torch.upsample_nearest2d(x, [6, 20], None, None)",
             {8, 3, 5},
             "reshape concat reshape concat reshape",
             {}},
        Case{
            "torch.upsample_nearest2d(x, None, [3., 1.])", {8, 3, 5}, "reshape concat reshape", {}},
        Case{"torch.pixel_shuffle(x, 2)", {8, 3, 5}, "reshape permute reshape", {}},
        Case{"torch.pixel_unshuffle(x, 2)", {2, 6, 4}, "reshape permute reshape", {}},
        Case{"torch.dropout(torch.tanh(x), 0.5, False)", {3}, "tanh", {}},
        Case{"torch.tanh(x.detach().clone().to(6).contiguous())", {3}, "tanh", {}}));

INSTANTIATE_TEST_SUITE_P(
    Selections, OperatorTest,
    testing::Values(
        Case{"torch.cat([x, torch.tanh(x), x], 1)", {3, 4}, "tanh concat", {}},
        Case{"torch.cat([x, torch.tanh(x)], -1)", {3, 4}, "tanh concat", {}},
        Case{"torch.cat([torch.zeros_like(x), x, torch.zeros([1, 2, 4])], 1)", {3, 4}, "pad", {}},
        Case{"torch.stack([x, torch.tanh(x)], 1)", {3, 4}, "tanh reshape reshape concat", {}},
        Case{"x[:, 1:]", {5, 4}, "slice", {}},
        Case{"x[:, :, ::2, 1::3]", {2, 5, 9}, "slice slice", {}},
        Case{"x[:, -3:-1]", {5, 4}, "slice", {}}, Case{"x[:, 2]", {5, 4}, "slice reshape", {}},
        Case{"torch.cat([x[:, 0].unsqueeze(1) * 2, x[:, 1].unsqueeze(1)], 1)",
             {2, 3, 3},
             "slice channel_affine slice concat",
             {}},
        Case{"torch.narrow(x, 1, 1, 2)", {5, 4}, "slice", {}},
        Case{"a, b = torch.chunk(x, 2, 1)\n  return a * torch.sigmoid(b)\n",
             {6, 4},
             "slice slice sigmoid mul",
             {}},
        Case{"a, b, c = torch.split(x, [1, 2, 3], 1)\n  return torch.cat([c, a, b], 1)\n",
             {6, 4},
             "slice slice slice concat",
             {}},
        Case{"a = torch.split(x, 4, 1)\n  return torch.cat([a[1], a[0]], 1)\n",
             {6, 4},
             "slice slice concat",
             {}},
        Case{"torch.constant_pad_nd(x, [1, 2, 0, 3], -1.5)", {2, 3, 3}, "pad", {}},
        Case{"torch.constant_pad_nd(x, [1, -1, 0, 0, 2, 1])", {2, 3, 3}, "slice pad", {}},
        Case{"torch.pad(x, [1, 1], 'constant', 2.)", {2, 3, 3}, "pad", {}}));

}  // namespace
}  // namespace haq::import
