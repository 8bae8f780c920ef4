#include "client/cli/sheet_text.h"

#include <sstream>

#include "client/cli/table.h"

namespace haq::client {
namespace {

constexpr size_t kNoteWidth = 100;

std::string Wrapped(const std::string& note) {
  std::istringstream words(note);
  std::string text, line;
  for (std::string word; words >> word;) {
    if (!line.empty() && line.size() + 1 + word.size() > kNoteWidth) {
      text += line + '\n';
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  return text + line + '\n';
}

std::string Trimmed(std::string text) {
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

// A '|' inside a cell would end it; a '*' would begin emphasis.
std::string Escaped(const std::string& text) {
  std::string escaped;
  for (const char c : Trimmed(text)) {
    if (c == '|' || c == '*' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string MarkdownRow(const std::vector<std::string>& cells) {
  std::string line = "|";
  for (const std::string& cell : cells) line += " " + Escaped(cell) + " |";
  return line + '\n';
}

}  // namespace

std::string SheetsText(const std::vector<comparison::Sheet>& sheets) {
  std::string text;
  for (const comparison::Sheet& sheet : sheets) {
    std::vector<Column> columns;
    for (const auto& column : sheet.columns) {
      columns.push_back({column.title, column.right ? Align::kRight : Align::kLeft});
    }
    Table table(columns);
    for (const auto& row : sheet.rows) table.Add(row);
    text += (text.empty() ? "" : "\n") + sheet.title + '\n' + table.Text(2);
    for (const std::string& note : sheet.notes) text += Wrapped(note);
  }
  return text;
}

std::string SheetsMarkdown(const std::vector<comparison::Sheet>& sheets) {
  std::string text;
  for (const comparison::Sheet& sheet : sheets) {
    std::vector<std::string> titles, rules;
    for (const auto& column : sheet.columns) {
      titles.push_back(column.title);
      rules.push_back(column.right ? "---:" : "---");
    }
    text += (text.empty() ? "" : "\n") + ("### " + Escaped(sheet.title)) + "\n\n" +
            MarkdownRow(titles) + MarkdownRow(rules);
    for (const auto& row : sheet.rows) text += MarkdownRow(row);
    for (const std::string& note : sheet.notes) text += '\n' + Escaped(note) + '\n';
  }
  return text;
}

}  // namespace haq::client
