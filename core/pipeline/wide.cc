#include "core/pipeline/wide.h"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace haq::pipeline {
namespace {

constexpr size_t kSuggestions = 5;
// Names are somebody else's and may be kilobytes long; their beginnings tell enough.
constexpr size_t kComparedCharacters = 128;

// How many characters must be changed, added or left out to make one of the other (Levenshtein).
int EditDistance(std::string_view a, std::string_view b) {
  a = a.substr(0, kComparedCharacters);
  b = b.substr(0, kComparedCharacters);
  std::vector<int> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    int diagonal = std::exchange(row[0], static_cast<int>(i));
    for (size_t j = 1; j <= b.size(); ++j) {
      const int replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

std::vector<std::string> NearNames(const ir::Graph& graph, const std::string& name) {
  std::vector<std::pair<int, std::string>> near;
  for (const ir::Value& value : graph.values) {
    near.emplace_back(EditDistance(name, value.name), value.name);
  }
  const size_t count = std::min(near.size(), kSuggestions);
  std::partial_sort(near.begin(), near.begin() + static_cast<ptrdiff_t>(count), near.end());
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i) names.push_back(near[i].second);
  return names;
}

}  // namespace

Result<std::vector<ir::ValueId>> FindWideTensors(const ir::Graph& graph,
                                                 const std::vector<std::string>& names) {
  std::unordered_map<std::string_view, ir::ValueId> values;
  for (size_t i = 0; i < graph.values.size(); ++i) {
    values.emplace(graph.values[i].name, static_cast<ir::ValueId>(i));
  }
  std::vector<ir::ValueId> found;
  for (size_t i = 0; i < names.size(); ++i) {
    const auto value = values.find(names[i]);
    if (value == values.end()) {
      return InvalidField(fmt::format("wide_tensors[{}]", i),
                          "the network has no tensor \"{}\"; near names are {}", names[i],
                          fmt::join(NearNames(graph, names[i]), ", "));
    }
    found.push_back(value->second);
  }
  return found;
}

}  // namespace haq::pipeline
