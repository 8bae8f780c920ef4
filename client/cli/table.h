// Aligned columns and the small pieces of text that tables show.
#pragma once

#include <google/protobuf/timestamp.pb.h>

#include <string>
#include <string_view>
#include <vector>

namespace haq::client {

enum class Align { kLeft, kRight };

struct Column {
  std::string title;
  Align align = Align::kLeft;
};

// Columns two spaces apart, wide enough for their widest cell (counted in characters of UTF-8); no
// trailing spaces.
class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // As many cells as columns.
  void Add(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  // The titles and the rows, each line ended with '\n' and begun with `indent` spaces.
  std::string Text(int indent = 0) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// "2024-05-01 13:37:00" in UTC; "-" when unset.
std::string FormatTime(const google::protobuf::Timestamp& time);
// "87.28 %" of the fraction 0.8728.
std::string FormatPercent(double fraction);
// "3x32x32".
template <typename Range>
std::string FormatShape(const Range& shape) {
  std::string text;
  for (const auto dimension : shape) {
    text += (text.empty() ? "" : "x") + std::to_string(dimension);
  }
  return text;
}

}  // namespace haq::client
