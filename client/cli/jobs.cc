#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "client/cli/app.h"
#include "client/cli/json.h"
#include "client/cli/table.h"
#include "client/cli/watch.h"
#include "client/lib/names.h"
#include "core/base/exit_code.h"
#include "core/quant/corrections.h"
#include "core/quant/methods.h"
#include "core/quant/wide.h"

namespace haq::client {
namespace {

struct CalibrateOptions {
  std::string model, calibration, evaluation;
  // What is empty or not set is the server's default.
  std::string method, scheme, weights, preset;
  std::optional<bool> bias_correction, equalize, adaround;
  std::optional<std::string> wide;
  int64_t limit_calibration = 0, limit_evaluation = 0;
  std::optional<double> max_drop, min_agreement;
  bool not_slower = false;
  bool watch = false;
};

Result<int> Calibrate(App* app, const CalibrateOptions& options) {
  v1::CalibrationSpec spec;
  spec.set_model(FullName("models", options.model));
  spec.set_calibration_dataset(FullName("datasets", options.calibration));
  spec.set_evaluation_dataset(FullName("datasets", options.evaluation));
  spec.set_method(options.method);
  spec.set_scheme(options.scheme);
  spec.set_weights(options.weights);
  spec.set_preset(options.preset);
  if (options.bias_correction) spec.set_bias_correction(*options.bias_correction);
  if (options.equalize) spec.set_equalize(*options.equalize);
  if (options.adaround) spec.set_adaround(*options.adaround);
  if (options.wide) {
    HAQ_ASSIGN_OR_RETURN(const quant::WideChoice wide, quant::ParseWide(*options.wide, "--wide"));
    spec.set_wide_count(wide.count);
    spec.mutable_wide_tensors()->Add(wide.tensors.begin(), wide.tensors.end());
  }
  spec.set_limit_calibration(options.limit_calibration);
  spec.set_limit_evaluation(options.limit_evaluation);
  if (options.max_drop) spec.set_max_drop(*options.max_drop);
  if (options.min_agreement) spec.set_min_agreement(*options.min_agreement);
  spec.set_not_slower(options.not_slower);
  HAQ_ASSIGN_OR_RETURN(const v1::Job job, app->client().CreateJob(spec));
  if (options.watch) {
    if (app->json()) {
      app->PrintJsonLine({{"job", ToJson(job)}});
    } else {
      app->Hint(job.name());
    }
    return WatchToEnd(app, job.name(), 1);
  }
  if (app->json()) {
    app->PrintJson(ToJson(job));
  } else {
    app->Print(job.name() + "\n");
    app->Hint("to follow it: haq jobs watch " + ShortName(job.name()));
  }
  return kExitOk;
}

std::string ProgressText(const v1::Job& job) {
  if (job.state() != v1::RUNNING || !job.has_progress()) return "-";
  const auto& progress = job.progress();
  if (progress.total() <= 0) return progress.phase();
  return fmt::format("{} {} %", progress.phase(), 100 * progress.done() / progress.total());
}

std::string AccuracyText(const v1::Job& job, double fraction) {
  return job.has_accuracy() && job.accuracy().images() > 0 ? FormatPercent(fraction) : "-";
}

Result<v1::JobState> ParseState(const std::string& text) {
  v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
  std::string upper = text;
  std::transform(upper.begin(), upper.end(), upper.begin(), ::toupper);
  if (!text.empty() && (!v1::JobState_Parse(upper, &state) || state == v1::JOB_STATE_UNSPECIFIED)) {
    return InvalidField("--state",
                        "\"{}\" is none of queued, running, succeeded, failed, cancelled", text);
  }
  return state;
}

Result<int> List(App* app, const std::string& state_name, int64_t limit) {
  HAQ_ASSIGN_OR_RETURN(const v1::JobState state, ParseState(state_name));
  HAQ_ASSIGN_OR_RETURN(const auto jobs, app->client().ListJobs(state, limit));
  if (app->json()) {
    auto list = nlohmann::ordered_json::array();
    for (const auto& job : jobs) list.push_back(ToJson(job));
    app->PrintJson({{"jobs", list}});
    return kExitOk;
  }
  Table table({{"ID"},
               {"MODEL"},
               {"METHOD"},
               {"SCHEME"},
               {"STATE"},
               {"PROGRESS"},
               {"FP32", Align::kRight},
               {"INT8", Align::kRight},
               {"CREATED"}});
  for (const auto& job : jobs) {
    table.Add({ShortName(job.name()), ShortName(job.spec().model()), job.spec().method(),
               job.spec().scheme(), v1::JobState_Name(job.state()), ProgressText(job),
               AccuracyText(job, job.accuracy().fp32_top1()),
               AccuracyText(job, job.accuracy().int8_top1()), FormatTime(job.create_time())});
  }
  app->Print(table.Text());
  return kExitOk;
}

Result<int> Show(App* app, const std::string& name) {
  HAQ_ASSIGN_OR_RETURN(const v1::Job job, app->client().GetJob(FullName("jobs", name)));
  if (app->json()) {
    app->PrintJson(ToJson(job));
  } else {
    app->Print(DescribeJob(job));
  }
  return kExitOk;
}

Result<int> Cancel(App* app, const std::string& name) {
  HAQ_ASSIGN_OR_RETURN(const v1::Job job, app->client().CancelJob(FullName("jobs", name)));
  if (app->json()) {
    app->PrintJson(ToJson(job));
  } else {
    app->Print(fmt::format("{}  {}{}\n", job.name(), v1::JobState_Name(job.state()),
                           IsFinal(job.state()) ? "" : ", cancel requested"));
  }
  return kExitOk;
}

void AddMethodOptions(CLI::App* command, CalibrateOptions* options) {
  command
      ->add_option("--method", options->method,
                   fmt::format("How ranges are chosen (default {}): {}", quant::kDefaultMethod,
                               fmt::join(quant::MethodNames(), ", ")))
      ->type_name("NAME");
  command->add_option("--scheme", options->scheme, "hybrid (default), symmetric or asymmetric")
      ->type_name("NAME");
  command->add_option("--weights", options->weights, "per_channel (default) or per_tensor")
      ->type_name("NAME");
  command
      ->add_option("--preset", options->preset,
                   fmt::format("Which corrections are on (default {}): {}", quant::kDefaultPreset,
                               fmt::join(quant::PresetNames(), ", ")))
      ->type_name("NAME");
  const auto add_switch = [&](const char* flag, std::optional<bool>* value, const char* what) {
    command->add_option(flag, *value, fmt::format("{}; default: as the preset says", what))
        ->check(CLI::IsMember({"on", "off"}))
        ->type_name("on|off");
  };
  add_switch("--bias-correction", &options->bias_correction, "Correct the mean error in the bias");
  add_switch("--equalize", &options->equalize, "Equalize channels across layers");
  add_switch("--adaround", &options->adaround, "Learn how weights are rounded");
  command
      ->add_option("--wide", options->wide, "Keep the worst N tensors, or those named, at 16 bits")
      ->type_name("N|NAME,..");
}

void AddCalibrate(CLI::App* root, App* app) {
  auto options = std::make_shared<CalibrateOptions>();
  CLI::App* command = app->AddCommand(
      root, "calibrate", "Quantize a model: calibrate, evaluate, and serve the INT8 network",
      "haq calibrate resnet20 --calibration cifar-calibration --evaluation cifar-test --watch\n"
      "haq calibrate resnet20 --calibration cifar-calibration --evaluation cifar-test \\\n"
      "    --method minmax --scheme asymmetric --weights per_tensor --limit-evaluation 1000\n"
      "haq calibrate resnet20 --calibration cifar-calibration --evaluation cifar-test \\\n"
      "    --preset best --equalize off",
      [app, options] { return Calibrate(app, *options); });
  command->add_option("MODEL", options->model, "Name of the model")->required();
  command->add_option("--calibration", options->calibration, "Dataset to choose the ranges on")
      ->required()
      ->type_name("DATASET");
  command->add_option("--evaluation", options->evaluation, "Dataset to measure the accuracy on")
      ->required()
      ->type_name("DATASET");
  AddMethodOptions(command, options.get());
  command
      ->add_option("--limit-calibration", options->limit_calibration,
                   "Only the first N images; 0 is all")
      ->type_name("N");
  command
      ->add_option("--limit-evaluation", options->limit_evaluation,
                   "Only the first N images; 0 is all")
      ->type_name("N");
  command
      ->add_option("--max-drop", options->max_drop,
                   "Serve the new version only when top-1 drops by at most so many points")
      ->type_name("POINTS");
  command
      ->add_option("--min-agreement", options->min_agreement,
                   "... and when INT8 and FP32 agree on at least so many percent of the images")
      ->type_name("PERCENT");
  command->add_flag("--not-slower", options->not_slower,
                    "... and when INT8 is not slower than FP32 on the worker's machine");
  command->add_flag("--watch", options->watch,
                    "Follow the job to its end and print the report; ^C leaves the job running");
}

}  // namespace

void AddJobCommands(CLI::App* root, App* app) {
  AddCalibrate(root, app);
  CLI::App* group = App::AddGroup(root, "jobs", "Calibration jobs");

  auto state = std::make_shared<std::string>();
  auto limit = std::make_shared<int64_t>(50);
  CLI::App* command = app->AddCommand(group, "list", "List jobs, the newest first",
                                      "haq jobs list\nhaq jobs list --state running",
                                      [app, state, limit] { return List(app, *state, *limit); });
  command->add_option("--state", *state, "queued, running, succeeded, failed or cancelled")
      ->type_name("STATE");
  command->add_option("--limit", *limit, "At most so many (default 50); 0 is all")
      ->check(NumberFrom(0, 1e15))
      ->type_name("N");

  auto name = std::make_shared<std::string>();
  command = app->AddCommand(group, "show", "Show a job, with its report once it has succeeded",
                            "haq jobs show 01HV3", [app, name] { return Show(app, *name); });
  command->add_option("ID", *name, "The job")->required();

  auto from_event = std::make_shared<int64_t>(1);
  command = app->AddCommand(
      group, "watch", "Follow a job to its end; ^C leaves the job running",
      "haq jobs watch 01HV3\nhaq jobs watch 01HV3 --from-event 17 --json",
      [app, name, from_event] { return WatchToEnd(app, FullName("jobs", *name), *from_event); });
  command->add_option("ID", *name, "The job")->required();
  command->add_option("--from-event", *from_event, "Number of the first event (default 1: all)")
      ->check(NumberFrom(0, 1e15))
      ->type_name("N");

  command = app->AddCommand(group, "cancel", "Ask a queued or running job to stop",
                            "haq jobs cancel 01HV3", [app, name] { return Cancel(app, *name); });
  command->add_option("ID", *name, "The job")->required();
}

}  // namespace haq::client
