#include "core/pipeline/wide.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <numeric>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "core/pipeline/timing.h"
#include "core/runtime/session.h"

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

// Tensors that hold the same levels.
struct LevelSet {
  std::vector<int> decisions;
  double noise = 0;
  bool allowed = true;
};

// Those that are allowed and make noise.
std::vector<LevelSet> SetsOf(const std::vector<TensorSensitivity>& tensors,
                             const std::vector<bool>& allowed) {
  std::map<int, LevelSet> by_number;
  for (size_t i = 0; i < tensors.size(); ++i) {
    LevelSet& set = by_number[tensors[i].origin.set];
    set.decisions.push_back(static_cast<int>(i));
    set.noise += tensors[i].isolated.noise();
    set.allowed = set.allowed && allowed[i];
  }
  std::vector<LevelSet> sets;
  for (auto& [number, set] : by_number) {
    if (set.allowed && set.noise > 0) sets.push_back(std::move(set));
  }
  return sets;
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

Result<std::vector<quant::Range>> WideRanges(const calib::Calibrator& calibrator) {
  HAQ_ASSIGN_OR_RETURN(auto ranges, calibrator.ChooseRanges("minmax", {}));
  for (quant::Range& range : ranges) range = {2 * range.low, 2 * range.high};
  return ranges;
}

Result<std::vector<bool>> CanBeWidened(const ir::Graph& graph,
                                       const std::vector<quant::Range>& ranges,
                                       const lower::Options& options,
                                       const lower::Lowered& lowered) {
  HAQ_ASSIGN_OR_RETURN(const std::vector<bool> candidates,
                       lower::WideCandidates(graph, ranges, options));
  std::vector<bool> allowed;
  for (const lower::TensorDecision& decision : lowered.decisions) {
    allowed.push_back(decision.params.bits == 8 && candidates[decision.value]);
  }
  return allowed;
}

std::vector<int> ChooseWide(const std::vector<TensorSensitivity>& tensors,
                            const std::vector<bool>& allowed, int64_t count) {
  const std::vector<LevelSet> sets = SetsOf(tensors, allowed);
  // The knapsack problem, exactly: after the first i sets, the most noise that c tensors can have.
  count = std::min(count, static_cast<int64_t>(tensors.size()));
  std::vector<double> noise(count + 1, 0);
  std::vector<std::vector<bool>> taken;  // by set and c
  for (const LevelSet& set : sets) {
    const auto size = static_cast<int64_t>(set.decisions.size());
    taken.emplace_back(count + 1, false);
    for (int64_t c = count; c >= size; --c) {
      const double with = noise[c - size] + set.noise;
      if (with <= noise[c]) continue;
      noise[c] = with;
      taken.back()[c] = true;
    }
  }
  std::vector<int> chosen;
  for (size_t i = sets.size(); i-- > 0;) {
    if (!taken[i][count]) continue;
    chosen.insert(chosen.end(), sets[i].decisions.begin(), sets[i].decisions.end());
    count -= static_cast<int64_t>(sets[i].decisions.size());
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

std::vector<std::string> WidenedTensors(const lower::Lowered& narrow, const lower::Lowered& wide,
                                        const std::vector<ir::ValueId>& values) {
  std::set<ir::ValueId> anyway;
  for (const lower::TensorDecision& decision : narrow.decisions) {
    if (decision.params.bits == 16) anyway.insert(decision.value);
  }
  for (const ir::ValueId value : values) anyway.erase(value);
  std::vector<std::string> names;
  for (const lower::TensorDecision& decision : wide.decisions) {
    if (decision.params.bits == 8 || anyway.contains(decision.value)) continue;
    names.push_back(wide.model.tensors[decision.tensor].name);
  }
  return names;
}

Result<WideCost> MeasureWideCost(const artifact::Model& narrow, const artifact::Model& wide,
                                 std::span<const float> image) {
  std::array<std::unique_ptr<runtime::Session>, 2> sessions;
  std::vector<float> output;
  std::vector<std::function<Status()>> runs;
  for (size_t i = 0; i < sessions.size(); ++i) {
    HAQ_ASSIGN_OR_RETURN(const auto loaded, runtime::LoadedModel::Create(i == 0 ? narrow : wide));
    HAQ_ASSIGN_OR_RETURN(sessions[i], runtime::Session::Create(loaded));
    output.resize(loaded->output_elements());
    runs.emplace_back([&, i] { return sessions[i]->Run(1, image, output); });
  }
  HAQ_ASSIGN_OR_RETURN(const Times times, TimeInTurn(runs));
  return WideCost{times.median_ms[0], times.median_ms[1]};
}

}  // namespace haq::pipeline
