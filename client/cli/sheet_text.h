// Sheets of a comparison as text for a terminal, or as Markdown.
#pragma once

#include <string>
#include <vector>

#include "client/comparison/sheets.h"

namespace haq::client {

// Aligned columns; notes are broken at 100 characters.
std::string SheetsText(const std::vector<comparison::Sheet>& sheets);

// Pipe tables with a heading each.
std::string SheetsMarkdown(const std::vector<comparison::Sheet>& sheets);

}  // namespace haq::client
