// haq table: methods and PyTorch side by side, over several models.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <memory>

#include "client/cli/app.h"
#include "client/cli/interrupt.h"
#include "client/cli/sheet_text.h"
#include "client/cli/table_jobs.h"
#include "client/cli/table_plan.h"
#include "client/cli/table_plots.h"
#include "client/comparison/document.h"
#include "client/comparison/sheets.h"
#include "core/base/exit_code.h"
#include "core/quant/corrections.h"
#include "core/quant/methods.h"

namespace haq::client {
namespace {

std::string Render(const comparison::Comparison& table, const std::string& format) {
  if (format == "json") {
    return ToJson(table).dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
           "\n";
  }
  if (format == "csv") return ToCsv(table);
  const auto sheets = MakeSheets(table);
  return format == "markdown" ? SheetsMarkdown(sheets) : SheetsText(sheets);
}

Status Write(App* app, const std::string& text, const std::string& path) {
  if (path.empty()) {
    app->Print(text);
    return {};
  }
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) return FailedPrecondition("cannot write {}", path);
  app->Hint("wrote " + path);
  return {};
}

bool AllSucceeded(const comparison::Comparison& table) {
  return std::all_of(table.rows.begin(), table.rows.end(), [](const comparison::Row& row) {
    return std::all_of(row.methods.begin(), row.methods.end(),
                       [](const comparison::Outcome& outcome) { return outcome.ok(); });
  });
}

Result<comparison::Comparison> Measure(App* app, const TableOptions& options, const TablePlan& plan,
                                       const std::stop_token& stop) {
  HAQ_ASSIGN_OR_RETURN(comparison::Comparison table, RunJobs(app, options, plan, stop));
  HAQ_RETURN_IF_ERROR(RunPytorch(app, options, plan, stop, &table));
  return table;
}

Result<int> MakeTable(App* app, TableOptions options) {
  if (app->json()) options.format = "json";
  HAQ_ASSIGN_OR_RETURN(const TablePlan plan, MakePlan(app->client(), options));
  InterruptGuard interrupt;
  const auto table = Measure(app, options, plan, interrupt.token());
  if (interrupt.interrupted()) {
    app->Hint("jobs go on without being watched; the same command finds them again");
    return kExitInterrupted;
  }
  if (!table.ok()) return table.status();
  HAQ_RETURN_IF_ERROR(Write(app, Render(*table, options.format), options.output));
  if (!options.plot_folder.empty()) {
    HAQ_ASSIGN_OR_RETURN(const auto files,
                         WritePlots(*table, options.plot_folder, options.plot_tensor));
    for (const auto& file : files) app->Hint("wrote " + file.string());
  }
  return AllSucceeded(*table) ? kExitOk : kExitFailure;
}

void AddWhatOptions(CLI::App* command, TableOptions* options) {
  command
      ->add_option("--models", options->models,
                   "Models, each alone or with its datasets: MODEL:CALIBRATION:EVALUATION")
      ->required()
      ->type_name("MODEL,..");
  command
      ->add_option("--calibration", options->calibration,
                   "Dataset to choose the ranges on, for models without their own")
      ->type_name("DATASET");
  command
      ->add_option("--evaluation", options->evaluation,
                   "Dataset to measure on, for models without their own")
      ->type_name("DATASET");
  command
      ->add_option(
          "--methods", options->methods,
          fmt::format("Columns, or all (default {}): {}; METHOD/PRESET has a preset of its own",
                      options->methods, fmt::join(quant::MethodNames(), ", ")))
      ->type_name("METHOD,..");
  command
      ->add_option("--preset", options->preset,
                   fmt::format("Corrections of every method (default {}): {}",
                               quant::kDefaultPreset, fmt::join(quant::PresetNames(), ", ")))
      ->type_name("NAME");
  command->add_option("--scheme", options->scheme, "hybrid (default), symmetric or asymmetric")
      ->type_name("NAME");
  command->add_option("--weights", options->weights, "per_channel (default) or per_tensor")
      ->type_name("NAME");
  command->add_option("--limit-calibration", options->limit_calibration, "Only the first N images")
      ->type_name("N");
  command->add_option("--limit-evaluation", options->limit_evaluation, "Only the first N images")
      ->type_name("N");
}

void AddHowOptions(CLI::App* command, TableOptions* options) {
  command
      ->add_option("--pytorch", options->pytorch,
                   "auto (default): PyTorch's column where python3-torch is installed; off; or the "
                   "program to run")
      ->type_name("auto|off|PATH");
  command
      ->add_option("--cache", options->cache,
                   "Folder for downloads and PyTorch's results (default ~/.cache/haq)")
      ->type_name("DIR");
  command->add_flag("--fresh", options->fresh,
                    "Run every job anew, also where an earlier run has it");
  command->add_option("--format", options->format, "text (default), markdown, csv or json")
      ->check(CLI::IsMember({"text", "markdown", "csv", "json"}))
      ->type_name("NAME");
  command->add_option("--output", options->output, "Write the table to a file")->type_name("FILE");
  CLI::Option* plot =
      command
          ->add_option("--plot", options->plot_folder,
                       "Folder for pictures: accuracy, SQNR, every tensor, a tensor's histogram")
          ->type_name("DIR");
  command
      ->add_option("--plot-tensor", options->plot_tensor,
                   "The tensor whose histogram is drawn (default: the one that costs most)")
      ->needs(plot)
      ->type_name("NAME");
}

}  // namespace

void AddTableCommand(CLI::App* root, App* app) {
  auto options = std::make_shared<TableOptions>();
  CLI::App* command = app->AddCommand(
      root, "table", "Compare methods, and PyTorch, over several models: one table",
      "haq table --models resnet20,vgg16 --calibration cifar-calibration --evaluation cifar-test\n"
      "haq table --models mobilenet:imagenet-calibration:imagenet-test --methods all\n"
      "haq table --models resnet20:cifar-calibration:cifar-test \\\n"
      "    --methods minmax,redistribution,redistribution/best --format markdown --output table.md "
      "\\\n"
      "    --plot figures",
      [app, options] { return MakeTable(app, *options); });
  AddWhatOptions(command, options.get());
  AddHowOptions(command, options.get());
}

}  // namespace haq::client
