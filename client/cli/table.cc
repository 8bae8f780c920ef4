#include "client/cli/table.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>

namespace haq::client {
namespace {

size_t Width(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
}

std::string Pad(const std::string& text, size_t width, Align align) {
  const std::string spaces(width - Width(text), ' ');
  return align == Align::kLeft ? text + spaces : spaces + text;
}

}  // namespace

void Table::Add(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::Text(int indent) const {
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t width = Width(columns_[i].title);
    for (const auto& row : rows_) width = std::max(width, Width(row[i]));
    widths.push_back(width);
  }
  std::string text;
  const auto add_line = [&](const auto& cell_of) {
    std::string line(indent, ' ');
    for (size_t i = 0; i < columns_.size(); ++i) {
      line += (i == 0 ? "" : "  ") + Pad(cell_of(i), widths[i], columns_[i].align);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  };
  add_line([this](size_t i) { return columns_[i].title; });
  for (const auto& row : rows_) add_line([&row](size_t i) { return row[i]; });
  return text;
}

std::string FormatTime(const google::protobuf::Timestamp& time) {
  if (time.seconds() == 0 && time.nanos() == 0) return "-";
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::gmtime(static_cast<std::time_t>(time.seconds())));
}

std::string FormatPercent(double fraction) { return fmt::format("{:.2f} %", fraction * 100); }

}  // namespace haq::client
