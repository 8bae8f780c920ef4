#include "core/base/json_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace haq {
namespace {

TEST(JsonText, ListsOfPlainValuesStayOnOneLine) {
  const auto document = nlohmann::ordered_json::parse(R"({
    "name": "a \"b\"", "none": {}, "nothing": [], "list": [1, 2.5, null, "x"],
    "layers": [{"range": [-1, 1]}, {}], "nested": [[1, 2], [3]]})");
  const std::string text = JsonText(document);
  EXPECT_EQ(text, R"({
  "name": "a \"b\"",
  "none": {},
  "nothing": [],
  "list": [1, 2.5, null, "x"],
  "layers": [
    {
      "range": [-1, 1]
    },
    {}
  ],
  "nested": [
    [1, 2],
    [3]
  ]
})");
  EXPECT_EQ(nlohmann::ordered_json::parse(text), document);
  EXPECT_EQ(JsonText(nlohmann::json(3)), "3");
}

TEST(JsonText, BrokenTextIsReplaced) {
  EXPECT_EQ(JsonText(nlohmann::json{{"\xFF", "a\xC3"}}),
            "{\n  \"\xEF\xBF\xBD\": \"a\xEF\xBF\xBD\"\n}");
}

}  // namespace
}  // namespace haq
