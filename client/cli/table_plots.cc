#include "client/cli/table_plots.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <system_error>

#include "client/comparison/certainty.h"
#include "client/plot/bars.h"
#include "client/plot/dots.h"
#include "client/plot/histogram.h"

namespace haq::client {
namespace {

using comparison::Comparison;
using comparison::Outcome;
using comparison::Row;
using nlohmann::json;

constexpr size_t kMostRows = 120;  // of a figure of tensors: more would be no picture any more
constexpr size_t kMostNamesListed = 20;  // of the tensors that there are
constexpr plot::Color kFp32Color = plot::Rgb(0x555555), kPytorchColor = plot::Rgb(0xE69F00);

struct MethodSeries {
  std::string name, title;
  plot::Color color;
};

// A method keeps its colour whatever else is in the table. The hues are those of M. Okabe and K.
// Ito, "Color Universal Design" (2008), which people with every kind of colour vision tell apart.
plot::Color ColorOf(const std::string& method, size_t index) {
  static const std::map<std::string, int> kKnown = {
      {"moving_minmax", 0x56B4E9},      {"minmax", 0x009E73},     {"histogram", 0xCC79A7},
      {"redistribution", 0x0072B2},     {"percentile", 0xB5A800}, {"kl", 0x8A5A2B},
      {"redistribution/best", 0xD55E00}};
  constexpr std::array<int, 4> kOthers{0x7B4FA3, 0x3C8D40, 0xA83232, 0x5F7A8A};
  const auto known = kKnown.find(method);
  return plot::Rgb(known != kKnown.end() ? known->second : kOthers[index % kOthers.size()]);
}

// Every method that a row has, in the order of the table.
std::vector<MethodSeries> Methods(const Comparison& table) {
  std::vector<MethodSeries> methods;
  for (const Row& row : table.rows) {
    for (const Outcome& outcome : row.methods) {
      const bool known = std::any_of(methods.begin(), methods.end(), [&](const auto& method) {
        return method.name == outcome.name;
      });
      if (known) continue;
      methods.push_back({outcome.name, outcome.title, ColorOf(outcome.name, methods.size())});
    }
  }
  return methods;
}

std::vector<plot::Series> MethodLegend(const Comparison& table) {
  std::vector<plot::Series> legend;
  for (const MethodSeries& method : Methods(table)) {
    legend.push_back({method.title, method.color});
  }
  return legend;
}

std::string Settings(const Comparison& table) {
  return fmt::format("{} scheme, weights {}, preset {}; 95 % intervals", table.scheme,
                     table.weights, table.preset);
}

plot::Bar Scaled(double value, const eval::Interval& interval, double scale) {
  return {value * scale, interval.low * scale, interval.high * scale};
}

// Networks of one row in the order of the legend; null where the row has none.
std::vector<const Outcome*> Networks(const Comparison& table, const Row& row, bool with_fp32) {
  std::vector<const Outcome*> networks;
  if (with_fp32) networks.push_back(row.images > 0 ? &row.fp32 : nullptr);
  networks.push_back(row.BestPytorch());
  for (const MethodSeries& method : Methods(table)) {
    const Outcome* outcome = row.Find(method.name);
    networks.push_back(outcome != nullptr && outcome->ok() ? outcome : nullptr);
  }
  return networks;
}

template <typename MakeBar>
std::vector<std::vector<plot::Bar>> Groups(const Comparison& table, bool with_fp32,
                                           const MakeBar& make_bar) {
  std::vector<std::vector<plot::Bar>> groups;
  for (const Row& row : table.rows) {
    std::vector<plot::Bar>& group = groups.emplace_back();
    for (const Outcome* network : Networks(table, row, with_fp32)) {
      group.push_back(network == nullptr ? plot::Bar() : make_bar(row, *network));
    }
  }
  return groups;
}

plot::BarFigure Bars(const Comparison& table, const std::string& title, bool with_fp32) {
  plot::BarFigure figure;
  figure.heading = {title, Settings(table)};
  for (const Row& row : table.rows) figure.groups.push_back(row.model);
  if (with_fp32) figure.series.push_back({"FP32", kFp32Color});
  figure.series.push_back({"PyTorch, best observer", kPytorchColor});
  for (const plot::Series& method : MethodLegend(table)) figure.series.push_back(method);
  return figure;
}

plot::Canvas Accuracy(const Comparison& table) {
  plot::BarFigure figure = Bars(table, "Accuracy by method", true);
  figure.panels.push_back(
      {"Top-1, %", 1, false, Groups(table, true, [](const Row& row, const Outcome& network) {
         return Scaled(network.top1, Top1Interval(network, row), 100);
       })});
  figure.panels.push_back({"Change of top-1 from FP32, points", 1, true,
                           Groups(table, true, [](const Row& row, const Outcome& network) {
                             if (&network == &row.fp32) return plot::Bar();
                             const comparison::Difference change =
                                 CompareTop1(row, row.fp32, network).difference;
                             return Scaled(change.value, change.interval, 100);
                           })});
  return plot::DrawBars(figure);
}

plot::Canvas Fidelity(const Comparison& table) {
  plot::BarFigure figure = Bars(table, "How near each method stays to FP32", false);
  figure.panels.push_back(
      {"Images answered otherwise than by FP32, % (smaller is better)", 1, false,
       Groups(table, false, [](const Row& row, const Outcome& network) {
         const eval::Interval agreement = AgreementInterval(network, row);
         return Scaled(1 - network.agreement, {1 - agreement.high, 1 - agreement.low}, 100);
       })});
  figure.panels.push_back({"SQNR of the output, dB (larger is better)", 1, false,
                           Groups(table, false, [](const Row&, const Outcome& network) {
                             return Scaled(network.sqnr_db, SqnrInterval(network), 1);
                           })});
  return plot::DrawBars(figure);
}

double Figure(const json& object, const char* field) {
  const auto found = object.find(field);
  return found != object.end() && found->is_number() ? found->get<double>() : std::nan("");
}

std::string NameOf(const json& layer) { return layer.value("name", std::string("?")); }

// The layers of an outcome's report; empty where there are none.
const json& LayersOf(const Outcome* outcome) {
  static const json kNone = json::array();
  if (outcome == nullptr || !outcome->report.is_object()) return kNone;
  const auto layers = outcome->report.find("layers");
  return layers != outcome->report.end() && layers->is_array() ? *layers : kNone;
}

const json* FindLayer(const Outcome* outcome, const std::string& name) {
  for (const json& layer : LayersOf(outcome)) {
    if (NameOf(layer) == name) return &layer;
  }
  return nullptr;
}

// The outcome whose tensors are listed: the reference, or else the first that has some.
const Outcome* Leading(const Comparison& table, const Row& row) {
  const Outcome* reference = row.Find(table.reference);
  if (!LayersOf(reference).empty()) return reference;
  for (const Outcome& outcome : row.methods) {
    if (!LayersOf(&outcome).empty()) return &outcome;
  }
  return nullptr;
}

// The figure that says what a tensor costs: the output's SQNR when nothing else is quantized, or
// in a report without it the tensor's own.
const char* CostField(const Outcome* leading) {
  for (const json& layer : LayersOf(leading)) {
    if (!std::isnan(Figure(layer, "isolated_sqnr_db"))) return "isolated_sqnr_db";
  }
  return "sqnr_db";
}

// Names in order of execution; of very many the ones that cost most.
std::vector<std::string> TensorNames(const Outcome* leading) {
  std::vector<std::pair<double, std::string>> tensors;
  const char* cost_field = CostField(leading);
  for (const json& layer : LayersOf(leading)) {
    tensors.emplace_back(Figure(layer, cost_field), NameOf(layer));
  }
  std::vector<double> costs;
  for (const auto& [cost, name] : tensors) costs.push_back(std::isnan(cost) ? 1e9 : cost);
  std::sort(costs.begin(), costs.end());
  const double limit = costs.size() > kMostRows ? costs[kMostRows - 1] : 1e9;
  std::vector<std::string> names;
  for (const auto& [cost, name] : tensors) {
    const bool kept = costs.size() <= kMostRows || (cost <= limit && names.size() < kMostRows);
    if (kept) names.push_back(name);
  }
  return names;
}

// A field of every tensor's entry, where any has it.
void AddPanel(const Comparison& table, const Row& row, const std::vector<std::string>& names,
              const char* field, const std::string& title, plot::DotFigure* figure) {
  std::vector<std::vector<double>> values;
  bool any = false;
  for (const std::string& name : names) {
    std::vector<double>& of_tensor = values.emplace_back();
    for (const MethodSeries& method : Methods(table)) {
      const json* layer = FindLayer(row.Find(method.name), name);
      of_tensor.push_back(layer == nullptr ? std::nan("") : Figure(*layer, field));
      any = any || std::isfinite(of_tensor.back());
    }
  }
  if (!any) return;
  figure->panels.push_back(title);
  figure->rows.resize(names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    figure->rows[i].name = names[i];
    figure->rows[i].values.push_back(std::move(values[i]));
  }
}

std::optional<plot::Canvas> Tensors(const Comparison& table, const Row& row) {
  const Outcome* leading = Leading(table, row);
  const std::vector<std::string> names = TensorNames(leading);
  if (names.empty()) return std::nullopt;
  plot::DotFigure figure;
  const size_t all = LayersOf(leading).size();
  figure.heading = {
      fmt::format("{}: what each tensor costs", row.model),
      fmt::format("{} scheme, weights {}, preset {}{}", table.scheme, table.weights, table.preset,
                  names.size() < all
                      ? fmt::format("; the worst {} of {} tensors", names.size(), all)
                      : "; in order of execution")};
  figure.series = MethodLegend(table);
  for (const auto& [field, title] :
       {std::pair("sqnr_db", "This tensor against FP32, dB"),
        {"isolated_sqnr_db", "Output, this tensor alone quantized, dB"}}) {
    AddPanel(table, row, names, field, title, &figure);
  }
  if (figure.panels.empty()) return std::nullopt;
  return plot::DrawDots(figure);
}

// The tensor asked for, or the one that costs most; null when the row does not have it.
const json* ChooseTensor(const Outcome* leading, const std::string& tensor) {
  if (!tensor.empty()) return FindLayer(leading, tensor);
  const char* cost_field = CostField(leading);
  const json* worst = nullptr;
  double worst_cost = std::numeric_limits<double>::infinity();
  for (const json& layer : LayersOf(leading)) {
    const bool drawable = layer.contains("histogram") && layer["histogram"].is_object();
    const double cost = Figure(layer, cost_field);
    if (!drawable || !(cost < worst_cost)) continue;
    worst = &layer;
    worst_cost = cost;
  }
  return worst;
}

void AddRanges(const Comparison& table, const json& layer, plot::HistogramFigure* figure) {
  const auto ranges = layer.find("ranges");
  if (ranges == layer.end() || !ranges->is_object()) return;
  for (const MethodSeries& method : Methods(table)) {
    const auto range = ranges->find(method.name);
    if (range == ranges->end()) continue;
    figure->ranges.push_back(
        {method.title, method.color, (*range)[0].get<double>(), (*range)[1].get<double>()});
  }
}

plot::Canvas Histogram(const Comparison& table, const Row& row, const json& layer) {
  const json& histogram = layer.at("histogram");
  plot::HistogramFigure figure;
  figure.low = histogram.at("low").get<double>();
  figure.high = histogram.at("high").get<double>();
  double values = histogram.at("zeros").get<double>();
  const double zeros = values;
  for (const json& count : histogram.at("counts")) {
    figure.counts.push_back(count.get<int64_t>());
    values += static_cast<double>(figure.counts.back());
  }
  figure.heading = {
      fmt::format("{}: {}", row.model, NameOf(layer)),
      fmt::format("made by {}, shape {}, {:.0f} values of {} images; {:.1f} % are exactly zero and "
                  "not drawn",
                  layer.value("op", std::string("?")), layer.at("shape").dump(), values,
                  row.calibration_images, 100 * zeros / std::max(values, 1.0))};
  figure.value_title = "value, and the range that each method chose";
  AddRanges(table, layer, &figure);
  return plot::DrawHistogram(figure);
}

Status UnknownTensor(const Comparison& table, const std::string& tensor) {
  std::vector<std::string> names;
  for (const Row& row : table.rows) {
    for (const json& layer : LayersOf(Leading(table, row))) names.push_back(NameOf(layer));
  }
  const size_t all = names.size();
  names.resize(std::min(all, kMostNamesListed));
  return NotFound("--plot-tensor: no model has the tensor \"{}\"; there are {}{}", tensor,
                  fmt::join(names, ", "), names.size() < all ? ", ..." : "");
}

// A picture to be written under a name.
struct Picture {
  std::string file;
  plot::Canvas canvas;
};

Status AddModelPictures(const Comparison& table, const std::string& tensor,
                        std::vector<Picture>* pictures) {
  bool found = tensor.empty();
  for (const Row& row : table.rows) {
    if (auto tensors = Tensors(table, row)) {
      pictures->push_back({row.model + "_tensors.png", *std::move(tensors)});
    }
    const json* layer = ChooseTensor(Leading(table, row), tensor);
    if (layer == nullptr) continue;
    found = true;
    if (!layer->contains("histogram") || !(*layer)["histogram"].is_object()) continue;
    pictures->push_back({row.model + "_histogram.png", Histogram(table, row, *layer)});
  }
  return found ? Status() : UnknownTensor(table, tensor);
}

}  // namespace

Result<std::vector<std::filesystem::path>> WritePlots(const Comparison& table,
                                                      const std::filesystem::path& folder,
                                                      const std::string& tensor) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return FailedPrecondition("cannot make {}: {}", folder.string(), error.message());
  std::vector<Picture> pictures;
  pictures.push_back({"accuracy.png", Accuracy(table)});
  pictures.push_back({"fidelity.png", Fidelity(table)});
  Status status;
  try {
    status = AddModelPictures(table, tensor, &pictures);
  } catch (const json::exception& exception) {
    return InternalError("a report's layers are not as expected: {}", exception.what());
  }
  HAQ_RETURN_IF_ERROR(status);
  std::vector<std::filesystem::path> files;
  for (const Picture& picture : pictures) {
    files.push_back(folder / picture.file);
    HAQ_RETURN_IF_ERROR(picture.canvas.WritePng(files.back().string()));
  }
  return files;
}

}  // namespace haq::client
