#include "core/artifact/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "core/base/file.h"
#include "tests/support/model_builder.h"
#include "tests/support/random_models.h"

namespace haq::artifact {
namespace {

using testing::HasSubstr;

std::vector<uint8_t> Bytes(const Model& model) { return Serialize(model).value(); }

// A model that uses every operator, with texts.
Model Everything() {
  Model model = test::EveryOperator();
  model.preprocess_json = R"({"color": "rgb"})";
  model.metadata_json = R"({"method": "minmax"})";
  model.class_names = {"cat", "", "dog \xc3\xa4"};
  model.golden = {{7, {1, 2, 3}}, {~uint64_t{0}, {}}};
  return model;
}

void ExpectSameTensor(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.type, b.type);
  EXPECT_EQ(a.shape, b.shape);
  EXPECT_EQ(a.scale, b.scale);
  EXPECT_EQ(a.zero_point, b.zero_point);
}

template <typename T>
std::vector<T> ToVector(Blob<T> blob) {
  return {blob.begin(), blob.end()};
}

// Adds the names of the model's operators.
void ExpectRoundTrip(const Model& model, std::set<std::string_view>& operators) {
  const std::vector<uint8_t> bytes = Bytes(model);
  const auto parsed = Parse(bytes);
  ASSERT_TRUE(parsed.ok()) << parsed.status().ToString();
  ASSERT_EQ(parsed->tensors.size(), model.tensors.size());
  for (size_t i = 0; i < model.tensors.size(); ++i) {
    ExpectSameTensor(parsed->tensors[i], model.tensors[i]);
  }
  ASSERT_EQ(parsed->layers.size(), model.layers.size());
  for (size_t i = 0; i < model.layers.size(); ++i) {
    const Layer &a = parsed->layers[i], &b = model.layers[i];
    EXPECT_EQ(a.name, b.name);
    EXPECT_EQ(a.op.index(), b.op.index());
    EXPECT_EQ(a.inputs, b.inputs);
    EXPECT_EQ(a.output, b.output);
    EXPECT_EQ(a.acc_min, b.acc_min);
    EXPECT_EQ(a.acc_max, b.acc_max);
    operators.insert(OpName(a.op));
  }
  EXPECT_EQ(parsed->input, model.input);
  EXPECT_EQ(parsed->output, model.output);
  EXPECT_EQ(parsed->input_shape, model.input_shape);
  EXPECT_EQ(parsed->preprocess_json, model.preprocess_json);
  EXPECT_EQ(parsed->class_names, model.class_names);
  EXPECT_EQ(parsed->metadata_json, model.metadata_json);
  EXPECT_EQ(parsed->golden, model.golden);
  // Everything that is not compared above is in these bytes.
  EXPECT_EQ(Bytes(*parsed), bytes);
}

TEST(File, RoundTripKeepsEveryOperatorAndText) {
  std::set<std::string_view> operators;
  ExpectRoundTrip(Everything(), operators);
  ExpectRoundTrip(test::EveryWideOperator(), operators);
  EXPECT_EQ(operators.size(), std::variant_size_v<Op>);
}

TEST(File, RoundTripKeepsTheParametersOfAnOperator) {
  const Model model = Everything();
  const std::vector<uint8_t> bytes = Bytes(model);
  const Model parsed = Parse(bytes).value();
  for (size_t i = 0; i < model.layers.size(); ++i) {
    if (const auto* a = std::get_if<Conv2d>(&model.layers[i].op)) {
      const auto& b = std::get<Conv2d>(parsed.layers[i].op);
      EXPECT_EQ(ToVector(a->weight), ToVector(b.weight));
      EXPECT_EQ(ToVector(a->channels), ToVector(b.channels));
      EXPECT_EQ(a->requantize, b.requantize);
      EXPECT_EQ(a->dilation_h, b.dilation_h);
      EXPECT_EQ(a->padding.bottom, b.padding.bottom);
    } else if (const auto* add = std::get_if<Add>(&model.layers[i].op)) {
      EXPECT_EQ(add->requantize, std::get<Add>(parsed.layers[i].op).requantize);
    } else if (const auto* table = std::get_if<Table>(&model.layers[i].op)) {
      EXPECT_EQ(table->table, std::get<Table>(parsed.layers[i].op).table);
    }
  }
}

TEST(File, IsDeterministic) {
  EXPECT_EQ(Bytes(Everything()), Bytes(Everything()));
  EXPECT_NE(Bytes(Everything()), Bytes(test::EveryOperator(2)));
}

TEST(File, BlobsAreAlignedAndUsedInPlace) {
  const std::filesystem::path path =
      std::filesystem::path(testing::TempDir()) / "artifact_in_place.haq";
  ASSERT_TRUE(Save(Everything(), path).ok());
  const auto model = Load(path);
  ASSERT_TRUE(model.ok()) << model.status().ToString();
  // Nothing but the mapping is kept: no blob was copied.
  EXPECT_NE(model->file, nullptr);
  EXPECT_TRUE(model->storage.empty());
  for (const Layer& layer : model->layers) {
    if (const auto* conv = std::get_if<Conv2d>(&layer.op)) {
      EXPECT_EQ(reinterpret_cast<uintptr_t>(conv->weight.data()) % 64, 0u);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(conv->channels.data()) % 64, 0u);
    }
  }
  // The mapping outlives the file.
  std::filesystem::remove(path);
  EXPECT_EQ(Bytes(*model), Bytes(Everything()));
}

TEST(File, BytesAtAnyAddressAreRead) {
  const std::vector<uint8_t> bytes = Bytes(Everything());
  std::vector<uint8_t> shifted(bytes.size() + 8);
  for (size_t shift = 0; shift < 8; ++shift) {
    std::memcpy(shifted.data() + shift, bytes.data(), bytes.size());
    const auto model = Parse({shifted.data() + shift, bytes.size()});
    ASSERT_TRUE(model.ok()) << model.status().ToString();
    EXPECT_EQ(Bytes(*model), bytes);
  }
}

TEST(File, OtherFilesAndVersionsAreTold) {
  const auto text = std::vector<uint8_t>(100, 'x');
  EXPECT_EQ(Parse(text).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Parse({}).status().code(), StatusCode::kInvalidArgument);
  for (const uint8_t version : {1, 2, 3, 5}) {
    std::vector<uint8_t> other = Bytes(Everything());
    other[8] = version;
    const Status status = Parse(other).status();
    EXPECT_EQ(status.code(), StatusCode::kUnsupported);
    EXPECT_THAT(status.message(),
                HasSubstr(fmt::format("version {} of the .haq format, this build reads version 4",
                                      version)));
  }
  const Status missing = Load("/does/not/exist.haq").status();
  EXPECT_EQ(missing.code(), StatusCode::kNotFound);
  EXPECT_THAT(missing.message(), HasSubstr("/does/not/exist.haq"));
}

TEST(File, LoadNamesTheDamagedFile) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "damaged.haq";
  std::vector<uint8_t> bytes = Bytes(Everything());
  bytes.back() ^= 1;
  ASSERT_TRUE(WriteFileDurably(path, bytes).ok());
  const Status status = Load(path).status();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_THAT(status.message(), HasSubstr("damaged.haq"));
  EXPECT_THAT(status.message(), HasSubstr("checksum"));
}

TEST(File, LimitsAreEnforced) {
  const std::vector<uint8_t> bytes = Bytes(Everything());
  const auto expect = [&](const ArtifactLimits& limits) {
    EXPECT_EQ(Parse(bytes, nullptr, limits).status().code(), StatusCode::kResourceExhausted)
        << Parse(bytes, nullptr, limits).status().ToString();
  };
  expect({.file_bytes = bytes.size() - 1});
  expect({.tensors = 5});
  expect({.layers = 5});
  expect({.layer_inputs = 1});
  expect({.rank = 2});
  expect({.name_bytes = 1});
  expect({.json_bytes = 5});
  expect({.classes = 2});
  expect({.tensor_elements = 100});
  expect({.total_elements = 1000});
  EXPECT_TRUE(Parse(bytes, nullptr, {.file_bytes = bytes.size()}).ok());
}

TEST(File, UnverifiableModelsAreNotWritten) {
  Model model = Everything();
  model.layers[1].acc_max = 0;
  EXPECT_EQ(Serialize(model).status().code(), StatusCode::kDataLoss);
}

}  // namespace
}  // namespace haq::artifact
