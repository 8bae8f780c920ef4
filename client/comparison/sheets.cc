#include "client/comparison/sheets.h"

#include <fmt/format.h>

#include <cmath>

#include "client/comparison/certainty.h"

namespace haq::comparison {
namespace {

constexpr double kSignificant = 0.05;

std::string Percent(double share) {
  return std::isnan(share) ? "-" : fmt::format("{:.2f}", share * 100);
}

std::string Decibel(double decibel) {
  return std::isnan(decibel) ? "-" : fmt::format("{:.2f}", decibel);
}

// "87.60 [84.4, 90.2]" in units of 1 / `scale`; `sign` also before what is positive.
std::string WithInterval(double value, const eval::Interval& interval, double scale, int digits,
                         bool sign) {
  if (std::isnan(value)) return "-";
  const auto number = [&](double number, int places) {
    return sign ? fmt::format("{:+.{}f}", number * scale, places)
                : fmt::format("{:.{}f}", number * scale, places);
  };
  if (std::isnan(interval.low)) return number(value, 2);
  return fmt::format("{} [{}, {}]", number(value, 2), number(interval.low, digits),
                     number(interval.high, digits));
}

std::string Share(double value, const eval::Interval& interval) {
  return WithInterval(value, interval, 100, 1, false);
}

// The columns of methods that any row has, in the order of the first row that has them.
std::vector<std::pair<std::string, std::string>> MethodColumns(const Comparison& comparison) {
  std::vector<std::pair<std::string, std::string>> columns;
  for (const Row& row : comparison.rows) {
    for (const Outcome& outcome : row.methods) {
      const std::pair column(outcome.name, outcome.title);
      if (std::find(columns.begin(), columns.end(), column) == columns.end()) {
        columns.push_back(column);
      }
    }
  }
  return columns;
}

std::string Top1Cell(const Row& row, const Outcome& outcome) {
  if (!outcome.ok()) return "failed";
  const bool differs = CompareTop1(row, row.fp32, outcome).p_value < kSignificant;
  return Percent(outcome.top1) + (differs ? "*" : " ");
}

std::string AgreementCell(const Row&, const Outcome& outcome) {
  return outcome.ok() ? Percent(outcome.agreement) : "failed";
}

std::string SqnrCell(const Row&, const Outcome& outcome) {
  return outcome.ok() ? Decibel(outcome.sqnr_db) : "failed";
}

// One figure of every model and method.
Sheet Summary(const Comparison& comparison, const std::string& title, bool with_fp32,
              std::string (*cell)(const Row&, const Outcome&)) {
  Sheet sheet{title, {{"MODEL"}}, {}, {}};
  if (with_fp32) sheet.columns.push_back({"FP32", true});
  sheet.columns.push_back({"PyTorch", true});
  const auto methods = MethodColumns(comparison);
  for (const auto& [name, method_title] : methods) sheet.columns.push_back({method_title, true});
  for (const Row& row : comparison.rows) {
    std::vector<std::string> cells{row.model};
    if (with_fp32) cells.push_back(row.images > 0 ? Percent(row.fp32.top1) + " " : "-");
    const Outcome* pytorch = row.BestPytorch();
    cells.push_back(pytorch != nullptr ? cell(row, *pytorch) : "-");
    for (const auto& [name, method_title] : methods) {
      const Outcome* outcome = row.Find(name);
      cells.push_back(outcome != nullptr ? cell(row, *outcome) : "-");
    }
    sheet.rows.push_back(std::move(cells));
  }
  return sheet;
}

std::vector<std::string> DetailCells(const Row& row, const Outcome& outcome) {
  if (!outcome.ok()) return {outcome.title, "failed", "-", "-", "-", "-"};
  const Top1Comparison change = CompareTop1(row, row.fp32, outcome);
  return {outcome.title,
          Share(outcome.top1, Top1Interval(outcome, row)),
          WithInterval(change.difference.value, change.difference.interval, 100, 1, true),
          FormatP(change.p_value),
          Share(outcome.agreement, AgreementInterval(outcome, row)),
          WithInterval(outcome.sqnr_db, SqnrInterval(outcome), 1, 2, false)};
}

Sheet Details(const Row& row) {
  Sheet sheet{fmt::format("{}: {} images of {}, calibrated on {} of {}", row.model, row.images,
                          row.evaluation, row.calibration_images, row.calibration),
              {{"METHOD"},
               {"TOP-1 %", true},
               {"CHANGE FROM FP32", true},
               {"P", true},
               {"AGREEMENT %", true},
               {"SQNR dB", true}},
              {},
              {}};
  if (row.images > 0) {
    sheet.rows.push_back(
        {"FP32", Share(row.fp32.top1, Top1Interval(row.fp32, row)), "-", "-", "-", "-"});
  }
  for (const auto* outcomes : {&row.pytorch, &row.methods}) {
    for (const Outcome& outcome : *outcomes) {
      sheet.rows.push_back(DetailCells(row, outcome));
      if (!outcome.ok()) sheet.notes.push_back(outcome.title + ": " + outcome.error);
    }
  }
  if (!row.pytorch_note.empty()) sheet.notes.push_back(row.pytorch_note);
  return sheet;
}

// The reference beside every other quantized network. Without rows when there is none.
Sheet Pairs(const Comparison& comparison, const Row& row) {
  const Outcome* reference = row.Find(comparison.reference);
  Sheet sheet{fmt::format("{}: {} beside the others", row.model, MethodTitle(comparison.reference)),
              {{"BESIDE"},
               {"TOP-1, POINTS", true},
               {"ONLY IT IS RIGHT", true},
               {"ONLY THE OTHER", true},
               {"P", true},
               {"SQNR, dB", true}},
              {},
              {}};
  if (reference == nullptr || !reference->ok()) return sheet;
  for (const auto* outcomes : {&row.pytorch, &row.methods}) {
    for (const Outcome& other : *outcomes) {
      if (&other == reference || !other.ok()) continue;
      const Top1Comparison top1 = CompareTop1(row, other, *reference);
      const Difference sqnr = CompareSqnr(other, *reference);
      const bool paired = !std::isnan(top1.p_value);
      sheet.rows.push_back(
          {other.title, WithInterval(top1.difference.value, top1.difference.interval, 100, 1, true),
           paired ? std::to_string(top1.only_second) : "-",
           paired ? std::to_string(top1.only_first) : "-", FormatP(top1.p_value),
           WithInterval(sqnr.value, sqnr.interval, 1, 2, true)});
    }
  }
  return sheet;
}

std::string PytorchNote(const Comparison& comparison) {
  std::string none;
  for (const Row& row : comparison.rows) {
    if (!row.pytorch.empty()) {
      return "PyTorch: FX post-training quantization, the observer of best SQNR.";
    }
    none = row.pytorch_note;
  }
  return none.empty() ? "" : "PyTorch: " + none + ".";
}

}  // namespace

std::string FormatP(double p_value) {
  if (std::isnan(p_value)) return "-";
  return p_value < 0.001 ? "<0.001" : fmt::format("{:.3f}", p_value);
}

std::vector<Sheet> MakeSheets(const Comparison& comparison) {
  std::vector<Sheet> sheets{Summary(comparison, "Top-1, %", true, Top1Cell),
                            Summary(comparison, "Agreement with FP32, %", false, AgreementCell),
                            Summary(comparison, "SQNR of the output, dB", false, SqnrCell)};
  sheets[0].notes.push_back("* differs from FP32: p < 0.05.");
  const std::string pytorch = PytorchNote(comparison);
  sheets[2].notes.push_back(fmt::format("{} scheme, weights {}, preset {}.{}{}", comparison.scheme,
                                        comparison.weights, comparison.preset,
                                        pytorch.empty() ? "" : " ", pytorch));
  for (const Row& row : comparison.rows) {
    sheets.push_back(Details(row));
    Sheet pairs = Pairs(comparison, row);
    if (!pairs.rows.empty()) sheets.push_back(std::move(pairs));
  }
  sheets.back().notes.push_back(
      "Brackets are 95 % intervals: Wilson's for shares, of the same images for differences, and "
      "for SQNR as far as it depends on which images were drawn. p is McNemar's exact paired test, "
      "not corrected for the number of tests.");
  return sheets;
}

}  // namespace haq::comparison
