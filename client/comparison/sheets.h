// A comparison as tables of text, for people: one line a model as in the paper, then one table a
// model with intervals and tests.
#pragma once

#include <string>
#include <vector>

#include "client/comparison/outcome.h"

namespace haq::comparison {

struct SheetColumn {
  std::string title;
  bool right = false;  // aligned to the right: numbers
};

struct Sheet {
  std::string title;
  std::vector<SheetColumn> columns;
  std::vector<std::vector<std::string>> rows;  // as many cells as columns
  std::vector<std::string> notes;              // below the table, a paragraph each
};

std::vector<Sheet> MakeSheets(const Comparison& comparison);

// "0.013"; "<0.001"; "-" for no figure.
std::string FormatP(double p_value);

}  // namespace haq::comparison
