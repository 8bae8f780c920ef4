#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/core/import/torchscript/script.h"

namespace haq::import {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

using Buffers = std::vector<std::pair<std::string, std::vector<int64_t>>>;

Status ImportStatus(const std::string& body, const std::vector<int64_t>& shape,
                    const Buffers& buffers = {}) {
  return Import(MakeModule("def forward(self, x):\n" + body, buffers), shape).status();
}

TEST(ImportErrors, NotAModel) {
  const std::string text = "this is no model";
  const std::vector<uint8_t> bytes(text.begin(), text.end());
  const Status status = ImportTorchScript(bytes, {3, 8, 8}).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("not a TorchScript archive"));
}

TEST(ImportErrors, TruncatedAnywhere) {
  const std::vector<uint8_t> model =
      Save(MakeModule("def forward(self, x):\n  return torch.relu(x)\n", {{"w", {64}}}));
  for (size_t size = 0; size < model.size(); size += 37) {
    const Status status = ImportTorchScript(std::span(model).first(size), {4}).status();
    ASSERT_EQ(status.code(), StatusCode::kInvalidArgument) << size;
  }
}

TEST(ImportErrors, DamagedAnywhere) {
  const std::vector<uint8_t> model = Save(MakeModule(
      "def forward(self, x):\n  return torch.conv2d(x, self.w)\n", {{"w", {2, 3, 3, 3}}}));
  std::vector<uint8_t> bytes = model;
  for (size_t i = 0; i < bytes.size(); i += 61) {
    bytes[i] ^= 0x55;
    const Status status = ImportTorchScript(bytes, {3, 8, 8}).status();
    EXPECT_NE(status.code(), StatusCode::kInternal) << i << " " << status.ToString();
    bytes[i] = model[i];
  }
}

TEST(ImportErrors, WrongInputShape) {
  const std::string body = "  return torch.conv2d(x, self.w)\n";
  const Status status = ImportStatus(body, {1, 8, 8}, {{"w", {2, 3, 3, 3}}});
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("on an input of 1x1x8x8"),
                                      HasSubstr("aten::conv2d"), HasSubstr("3 channels")));
}

TEST(ImportErrors, InputShapeThatIsNone) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{},
                                            {3, 0, 8},
                                            {3, -1, 8},
                                            {3, 1 << 20, 1 << 20},
                                            {1, 1, 1, 1, 1, 1, 1},
                                            {int64_t{1} << 62, int64_t{1} << 62}}) {
    const Status status = ImportStatus("  return x\n", shape);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), HasSubstr("input_shape: "));
    ASSERT_EQ(status.fields().size(), 1u);
    EXPECT_EQ(status.fields()[0].field, "input_shape");
  }
}

TEST(ImportErrors, UnsupportedOperatorsAreNamedAllAtOnce) {
  torch::jit::Module inner = MakeModule("def forward(self, x):\n  return torch.erf(x)\n");
  torch::jit::Module outer("Outer");
  outer.register_module("head", inner);
  outer.define(
      "def forward(self, x):\n"
      "  x = torch.cumsum(x, 1)\n"
      "  x = self.head.forward(torch.relu(x))\n"
      "  return torch.atan(torch.tanh(self.head.forward(x)))\n");
  const Status status = Import(outer, {4}).status();
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr("4 in all"), HasSubstr("aten::cumsum at the top level"),
                    HasSubstr("aten::erf at 'head'"), HasSubstr("aten::atan at the top level"),
                    HasSubstr("supported are "), HasSubstr("aten::conv2d")));
  EXPECT_THAT(status.message().substr(0, status.message().find("supported are")),
              AllOf(Not(HasSubstr("relu")), Not(HasSubstr("tanh"))));
}

TEST(ImportErrors, UnsupportedUsesSayWhy) {
  const Status transposed = ImportStatus("  return torch.conv_transpose2d(x, self.w)\n", {2, 4, 4},
                                         {{"w", {2, 3, 3, 3}}});
  EXPECT_EQ(transposed.code(), StatusCode::kUnsupported);
  EXPECT_THAT(transposed.message(), HasSubstr("aten::conv_transpose2d"));
  EXPECT_THAT(ImportStatus("  return x / torch.tanh(x)\n", {2}).message(),
              HasSubstr("divides by an activation"));
  EXPECT_THAT(ImportStatus("  return torch.mean(x)\n", {2}).message(),
              HasSubstr("the batch included"));
  EXPECT_THAT(ImportStatus("  return torch.flatten(x)\n", {2, 3}).message(),
              HasSubstr("first dimension is not the batch"));
  EXPECT_THAT(ImportStatus("  return torch.dropout(x, 0.5, True)\n", {2}).message(),
              HasSubstr("training mode"));
  EXPECT_THAT(ImportStatus("  return torch.conv2d(x, torch.tanh(x))\n", {1, 3, 3}).message(),
              HasSubstr("'weight' is computed from the input"));
  EXPECT_THAT(ImportStatus("  return x.to(4)\n", {2}).message(), HasSubstr("gives Long"));
  for (const char* call : {"[7, 8], None, None", "[2, 2], None, None", "None, [2.2, 2.0]"}) {
    EXPECT_THAT(
        ImportStatus(fmt::format("  return torch.upsample_nearest2d(x, {})\n", call), {1, 4, 4})
            .message(),
        HasSubstr("supported are whole factors of rows and columns"))
        << call;
  }
  EXPECT_THAT(
      ImportStatus("  y = x.mean([2, 3], True).expand_as(x)\n  return y.sum([2, 3])\n", {2, 3, 3})
          .message(),
      HasSubstr("expanded"));
}

TEST(ImportErrors, ControlFlowOnDataIsRefused) {
  const Status status =
      ImportStatus("  if bool(x[0, 0] > 0):\n    x = torch.relu(x)\n  return x\n", {2});
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("aten::gt"), HasSubstr("aten::Bool"),
                                      HasSubstr("depends on the values of the input")));
}

TEST(ImportErrors, WritingThroughAViewIsRefused) {
  const Status status =
      ImportStatus("  y = x * 2\n  y.view([1, 4]).relu_()\n  return torch.tanh(y)\n", {2, 2});
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_THAT(status.message(), HasSubstr("overwritten through another view"));
}

TEST(ImportErrors, ForwardMustTakeOneTensorAndGiveOne) {
  const auto status_of = [](const std::string& source) {
    return Import(MakeModule(source), {2}).status();
  };
  EXPECT_THAT(status_of("def forward(self, x, y):\n  return x + y\n").message(),
              HasSubstr("more than one input: 'y'"));
  EXPECT_THAT(status_of("def forward(self, x: List[Tensor]):\n  return x[0]\n").message(),
              HasSubstr("List[Tensor]"));
  EXPECT_THAT(status_of("def forward(self):\n  return torch.zeros([1])\n").message(),
              HasSubstr("takes no input"));
  EXPECT_THAT(status_of("def other(self, x):\n  return x\n").message(),
              HasSubstr("no forward method"));
  EXPECT_THAT(status_of("def forward(self, x):\n  return x, torch.relu(x)\n").message(),
              HasSubstr("it has to return one tensor"));
  EXPECT_THAT(status_of("def forward(self, x):\n  return torch.zeros([1, 3])\n").message(),
              HasSubstr("does not depend on its input"));
}

TEST(ImportErrors, ModelThatRaisesSaysWhat) {
  const Status status =
      ImportStatus("  assert x.size(1) == 3, 'needs three values'\n  return x\n", {2});
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("needs three values"));
}

TEST(ImportErrors, EndlessLoopEnds) {
  const Status status =
      ImportStatus("  i = 0\n  while i >= 0:\n    i = 1 - i\n  return torch.relu(x)\n", {2});
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("steps"));
}

}  // namespace
}  // namespace haq::import
