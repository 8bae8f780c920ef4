// JSON as text that both people and programs read.
#pragma once

#include <algorithm>
#include <string>

namespace haq {

namespace internal {
// Two spaces a level; `indent` is that of the line on which the value begins.
template <typename Json>
void AppendJsonText(const Json& value, int indent, std::string* text) {
  const auto is_leaf = [](const Json& element) { return !element.is_structured(); };
  if (value.empty() || is_leaf(value)) {
    *text += value.dump(-1, ' ', false, Json::error_handler_t::replace);
    return;
  }
  const bool one_line = value.is_array() && std::all_of(value.begin(), value.end(), is_leaf);
  const std::string line = one_line ? "" : "\n" + std::string(indent + 2, ' ');
  *text += value.is_object() ? '{' : '[';
  for (auto element = value.begin(); element != value.end(); ++element) {
    if (element != value.begin()) *text += one_line ? ", " : ",";
    *text += line;
    if (value.is_object()) {
      AppendJsonText(Json(element.key()), 0, text);
      *text += ": ";
    }
    AppendJsonText(*element, indent + 2, text);
  }
  if (!one_line) *text += "\n" + std::string(indent, ' ');
  *text += value.is_object() ? '}' : ']';
}
}  // namespace internal

// Indented, with lists of plain values on one line. Broken UTF-8 becomes replacement characters.
// `Json` is nlohmann::json or nlohmann::ordered_json.
template <typename Json>
std::string JsonText(const Json& document) {
  std::string text;
  internal::AppendJsonText(document, 0, &text);
  return text;
}

}  // namespace haq
