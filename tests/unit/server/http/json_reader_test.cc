#include "server/http/json_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace haq::server::http {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string Failure(std::string_view text) {
  const auto read = ReadInferenceJson(text);
  EXPECT_EQ(read.status().code(), StatusCode::kInvalidArgument) << text.substr(0, 100);
  return read.status().message();
}

TEST(JsonReaderTest, DataGoesToArraysAndTheRestToTheDocument) {
  const auto read = ReadInferenceJson(
      R"({"id": "a", "inputs": [{"data": [[1, -2.5], [true, 1e3]], "shape": [2, 2], "name": "x"},)"
      R"( {"name": "y", "parameters": {"data": [1]}}, {"data": ["p", ["q"]]}], "data": [4]})");
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  ASSERT_EQ(read->data.size(), 3u);
  EXPECT_THAT(read->data[0].numbers, ElementsAre(1, -2.5, 1, 1000));
  EXPECT_FALSE(read->data[1].present);
  EXPECT_TRUE(read->data[2].present);
  EXPECT_THAT(read->data[2].strings, ElementsAre("p", "q"));
  EXPECT_EQ(
      read->document,
      nlohmann::json::parse(R"({"id": "a", "inputs": [{"shape": [2, 2], "name": "x"},)"
                            R"({"name": "y", "parameters": {"data": [1]}}, {}], "data": [4]})"));
}

TEST(JsonReaderTest, WhatIsNoJsonIsToldWithItsPlace) {
  EXPECT_THAT(Failure(R"({"a": nul})"), HasSubstr("byte 10"));
  EXPECT_THAT(Failure(""), HasSubstr("the request's JSON"));
  EXPECT_THAT(Failure("{} x"), HasSubstr("byte"));
  EXPECT_THAT(Failure(R"({"a": NaN})"), HasSubstr("byte"));
  EXPECT_THAT(Failure("[1]"), HasSubstr("must be an object"));
  EXPECT_THAT(Failure("\"\xff\""), HasSubstr("byte"));
}

TEST(JsonReaderTest, EveryCutIsRefused) {
  const std::string text = R"({"inputs": [{"name": "x", "data": [[1, 2], ["a"]]}]})";
  ASSERT_TRUE(ReadInferenceJson(text).ok());
  for (size_t size = 0; size < text.size(); ++size) Failure(text.substr(0, size));
}

TEST(JsonReaderTest, DataHoldsNumbersOrStringsAlone) {
  EXPECT_THAT(Failure(R"({"inputs": [{"data": [null]}]})"), HasSubstr("null in \"data\""));
  EXPECT_THAT(Failure(R"({"inputs": [{"data": [{}]}]})"), HasSubstr("an object in \"data\""));
  EXPECT_THAT(Failure(R"({"inputs": [{"data": [1], "data": [2]}]})"), HasSubstr("twice"));
}

TEST(JsonReaderTest, InputsThatComeTwiceKeepTheirOwnData) {
  const auto read =
      ReadInferenceJson(R"({"inputs": [{"data": [1]}, {"data": [2]}], "inputs": [{"data": [3]}]})");
  ASSERT_TRUE(read.ok());
  ASSERT_EQ(read->data.size(), read->document.at("inputs").size());
  EXPECT_THAT(read->data[0].numbers, ElementsAre(3));
}

TEST(JsonReaderTest, DepthAndNumberOfValuesAreBounded) {
  const std::string deep(100'000, '[');
  EXPECT_THAT(Failure(deep), HasSubstr("nests deeper than 32"));
  EXPECT_THAT(Failure(R"({"inputs": [{"data": )" + deep), HasSubstr("nests deeper than 32"));
  std::string many = R"({"x": [0)";
  for (int i = 0; i < 10'000; ++i) many += ",0";
  EXPECT_THAT(Failure(many + "]}"), HasSubstr("more than 10000 values"));
  std::string keys = "{\"a0\":0";
  for (int i = 1; i < 10'000; ++i) keys += fmt::format(",\"a{}\":0", i);
  EXPECT_THAT(Failure(keys + "}"), HasSubstr("more than 10000 values"));
  std::string strings = R"({"inputs": [{"data": [""])";
  strings.pop_back();
  for (int i = 0; i < 65'536; ++i) strings += ",\"\"";
  EXPECT_THAT(Failure(strings + "]}]}"), HasSubstr("more than 65536 strings"));
  std::string numbers = R"({"inputs": [{"data": [0)";
  for (int i = 1; i < 200'000; ++i) numbers += ",0";
  EXPECT_EQ(ReadInferenceJson(numbers + "]}]}").value().data[0].numbers.size(), 200'000u);
}

}  // namespace
}  // namespace haq::server::http
