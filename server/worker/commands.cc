#include "server/worker/commands.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "core/artifact/file.h"
#include "core/base/exit_code.h"
#include "core/base/file.h"
#include "core/base/json_text.h"
#include "core/base/version.h"
#include "core/data/random_images.h"
#include "core/import/detect/detect.h"
#include "core/import/onnx/import.h"
#include "core/import/torchscript/import.h"
#include "core/pipeline/pipeline.h"
#include "core/quant/wide.h"
#include "server/sandbox/plan.h"
#include "server/sandbox/system_calls.h"
#include "server/worker/console.h"
#include "server/worker/serve.h"
#include "server/worker/signals.h"

namespace haq::server::worker {
namespace {

// Where the commands print, and what the command line said.
struct Run {
  std::FILE* out;
  std::FILE* err;
  bool json = false;
  std::function<Status()> action;

  std::FILE* progress() const { return json ? nullptr : err; }
  void Print(const std::string& text) const { std::fwrite(text.data(), 1, text.size(), out); }
};

struct QuantizeArguments {
  std::string model, preprocess_file, calibration, evaluation, labels_file, classes_file, output,
      report_file;
  int64_t synthetic_images = 0;  // 0: the folders
  std::optional<std::string> wide;
  pipeline::Options options;
};

struct EvaluateArguments {
  std::string artifact, evaluation, labels_file, report_file;
  int64_t limit = 0;
  bool skip_self_test = false;
};

// Accepts numbers in the range; the message names its ends.
CLI::Validator NumberFrom(double least, double most) {
  return CLI::Validator(
      [least, most](std::string& text) {
        double value = 0;
        if (CLI::detail::lexical_cast(text, value) && value >= least && value <= most) {
          return std::string();
        }
        return fmt::format("{} is not a number from {} to {}", text, least, most);
      },
      "");
}

Result<std::vector<std::string>> ReadClassNames(const std::string& path) {
  std::vector<std::string> names;
  if (path.empty()) return names;
  HAQ_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) names.push_back(line);
  return names;
}

// The report to a file (when asked for) and to stdout: whole with --json, else `heading` and its
// figures.
Status PrintReport(const Run& run, const std::string& report_json, const std::string& report_file,
                   const std::string& heading) {
  if (!report_file.empty()) HAQ_RETURN_IF_ERROR(WriteFileDurably(report_file, report_json + "\n"));
  run.Print(run.json ? report_json + "\n" : heading + SummarizeReport(report_json));
  return {};
}

Status UseFolders(const QuantizeArguments& arguments, pipeline::Inputs& inputs) {
  const auto use = [&](const std::string& folder, int64_t limit, auto& open,
                       int64_t& images) -> Status {
    HAQ_ASSIGN_OR_RETURN(const auto listing, ListImages(folder, arguments.labels_file));
    images = CountImages(listing, limit);
    open = [listing]() -> Result<std::unique_ptr<data::SampleReader>> {
      return data::ReadFolder(listing);
    };
    return {};
  };
  HAQ_RETURN_IF_ERROR(use(arguments.calibration, arguments.options.limit_calibration,
                          inputs.open_calibration, inputs.calibration_images));
  return use(arguments.evaluation, arguments.options.limit_evaluation, inputs.open_evaluation,
             inputs.evaluation_images);
}

// The options have been validated: the shape is C, H, W.
void UseRandomImages(const QuantizeArguments& arguments, pipeline::Inputs& inputs) {
  const int64_t count = arguments.synthetic_images;
  const int height = static_cast<int>(arguments.options.input_shape[1]);
  const int width = static_cast<int>(arguments.options.input_shape[2]);
  const auto open = [=]() -> Result<std::unique_ptr<data::SampleReader>> {
    return data::RandomImages(count, width, height);
  };
  inputs.open_calibration = inputs.open_evaluation = open;
  inputs.calibration_images = inputs.evaluation_images = count;
}

Result<std::vector<int64_t>> DeclaredShape(std::span<const uint8_t> model) {
  HAQ_ASSIGN_OR_RETURN(const import::ModelFormat format, import::DetectFormat(model));
  if (format == import::ModelFormat::kOnnx) return import::DeclaredInputShape(model);
  return InvalidField("--input-shape", "must be given: a TorchScript file does not say it");
}

Status Quantize(const Run& run, QuantizeArguments arguments) {
  pipeline::Options& options = arguments.options;
  if (!arguments.preprocess_file.empty()) {
    HAQ_ASSIGN_OR_RETURN(options.preprocess_json, ReadTextFile(arguments.preprocess_file));
  }
  HAQ_ASSIGN_OR_RETURN(options.class_names, ReadClassNames(arguments.classes_file));
  if (arguments.wide) {
    HAQ_ASSIGN_OR_RETURN(const quant::WideChoice wide, quant::ParseWide(*arguments.wide, "--wide"));
    options.wide_count = wide.count;
    options.wide_tensors = wide.tensors;
  }
  HAQ_ASSIGN_OR_RETURN(const MappedFile model, MappedFile::Open(arguments.model));
  if (options.input_shape.empty()) {
    HAQ_ASSIGN_OR_RETURN(options.input_shape, DeclaredShape(model.bytes()));
  }
  HAQ_RETURN_IF_ERROR(pipeline::Validate(options));
  pipeline::Inputs inputs;
  inputs.model = model.bytes();
  if (arguments.synthetic_images > 0) {
    UseRandomImages(arguments, inputs);
  } else {
    HAQ_RETURN_IF_ERROR(UseFolders(arguments, inputs));
  }
  ConsoleListener listener(run.progress(), inputs.evaluation_images);
  HAQ_ASSIGN_OR_RETURN(const pipeline::Output output,
                       pipeline::Quantize(options, inputs, listener, CancellationToken()));
  listener.Finish();
  HAQ_RETURN_IF_ERROR(WriteFileDurably(arguments.output, output.artifact));
  return PrintReport(
      run, output.report_json, arguments.report_file,
      fmt::format("{}  {}\n", arguments.output, FormatBytes(output.artifact.size())));
}

Status Evaluate(const Run& run, const EvaluateArguments& arguments) {
  if (arguments.limit < 0) {
    return InvalidField("--limit", "is {}, must be 0 (all) or more", arguments.limit);
  }
  HAQ_ASSIGN_OR_RETURN(artifact::Model model, artifact::Load(arguments.artifact));
  HAQ_ASSIGN_OR_RETURN(data::FolderListing listing,
                       ListImages(arguments.evaluation, arguments.labels_file));
  ConsoleListener listener(run.progress(), CountImages(listing, arguments.limit));
  const auto reader = data::ReadFolder(std::move(listing));
  HAQ_ASSIGN_OR_RETURN(
      const std::string report,
      pipeline::EvaluateArtifact(std::move(model), *reader, arguments.limit, listener,
                                 CancellationToken(), !arguments.skip_self_test));
  listener.Finish();
  return PrintReport(run, report, arguments.report_file, "");
}

Status Operators(const Run& run) {
  const std::vector<std::string> torchscript = import::SupportedTorchScriptOperators();
  const std::vector<std::string> onnx = import::SupportedOnnxOperators();
  if (run.json) {
    run.Print(JsonText(nlohmann::json{{"torchscript", torchscript}, {"onnx", onnx}}) + "\n");
    return {};
  }
  for (const std::string& name : torchscript) run.Print(name + "\n");
  for (const std::string& name : onnx) run.Print("onnx::" + name + "\n");
  return {};
}

std::string DefaultName() {
  if (const char* name = std::getenv("HAQ_WORKER_NAME"); name != nullptr && *name != '\0') {
    return name;
  }
  char host[256] = "worker";
  ::gethostname(host, sizeof(host) - 1);
  return fmt::format("{}-{}", host, ::getpid());
}

Status ServeUntilSignal(const ServeOptions& options) {
  spdlog::set_default_logger(spdlog::stderr_color_mt("haq-worker"));
  if (const Status status = sandbox::ForbidPrograms(); !status.ok()) {
    spdlog::warn("{}", status.message());
  }
  spdlog::info("isolation: {}", sandbox::DescribeOwn());
  const TerminationSignals signals;
  return Serve(options, signals.token());
}

void AddServe(CLI::App* root, Run* run) {
  auto options = std::make_shared<ServeOptions>();
  options->name = DefaultName();
  std::error_code ignored;
  options->job.scratch = std::filesystem::temp_directory_path(ignored);
  CLI::App* command =
      root->add_subcommand("serve", "Take one job after another from a server until it is gone");
  command->add_option("--server", options->server, "HOST:PORT or unix:PATH")->required();
  command->add_option("--name", options->name, "Name in logs (HAQ_WORKER_NAME; host and pid)")
      ->type_name("NAME");
  command->add_option("--scratch", options->job.scratch, "Where the job's files are kept (TMPDIR)")
      ->type_name("DIR");
  command->add_option("--max-jobs", options->max_jobs, "End after so many jobs; 0 (default): never")
      ->check(NumberFrom(0, 1e15))
      ->type_name("N");
  command
      ->add_option("--threads", options->job.threads, "Of the FP32 pass; 0 (default) is every core")
      ->check(NumberFrom(0, 1024))
      ->type_name("N");
  command
      ->add_option("--checkpoint-interval-ms", options->job.checkpoint_interval_ms,
                   "At most one checkpoint in that time (HAQ_CHECKPOINT_INTERVAL_MS; 1000)")
      ->envname("HAQ_CHECKPOINT_INTERVAL_MS")
      ->check(NumberFrom(0, 1e15))
      ->type_name("MS");
  command
      ->add_option(
          "--stall-timeout-ms", options->job.limits.stall_ms,
          "Fail a job that makes no progress for so long (HAQ_STALL_TIMEOUT_MS; 15 minutes)")
      ->envname("HAQ_STALL_TIMEOUT_MS")
      ->check(NumberFrom(0, 1e15))
      ->type_name("MS");
  command->callback(
      [run, options] { run->action = [options] { return ServeUntilSignal(*options); }; });
}

// The choices of the method: those of `haq calibrate`, under the same names.
void AddMethodOptions(CLI::App* command, QuantizeArguments& arguments) {
  pipeline::Options& options = arguments.options;
  command
      ->add_option("--method", options.method,
                   fmt::format("How ranges are chosen (default {}): {}", quant::kDefaultMethod,
                               fmt::join(quant::MethodNames(), ", ")))
      ->type_name("NAME");
  command->add_option("--scheme", options.scheme, "hybrid (default), symmetric, asymmetric")
      ->type_name("NAME");
  command->add_option("--weights", options.weights, "per_channel (default), per_tensor")
      ->type_name("NAME");
  command
      ->add_option("--preset", options.preset,
                   fmt::format("Which corrections are on (default {}): {}", quant::kDefaultPreset,
                               fmt::join(quant::PresetNames(), ", ")))
      ->type_name("NAME");
  const auto add_switch = [&](const char* flag, std::optional<bool>& value, const char* what) {
    command->add_option(flag, value, fmt::format("{}; default: as the preset says", what))
        ->check(CLI::IsMember({"on", "off"}))
        ->type_name("on|off");
  };
  add_switch("--bias-correction", options.bias_correction, "Correct the mean error in the bias");
  add_switch("--equalize", options.equalize, "Equalize channels across layers");
  add_switch("--adaround", options.adaround, "Learn how weights are rounded");
  command
      ->add_option("--wide", arguments.wide, "Keep the worst N tensors, or those named, at 16 bits")
      ->type_name("N|NAME,..");
}

void AddQuantize(CLI::App* root, Run* run) {
  auto arguments = std::make_shared<QuantizeArguments>();
  pipeline::Options& options = arguments->options;
  CLI::App* command = root->add_subcommand("quantize", "Quantize a model without a server");
  command->footer(
      "Example:\n  haq-worker quantize resnet20.pt --input-shape 3,32,32 "
      "--preprocess cifar.json \\\n      --calibration calibration --evaluation test "
      "--output resnet20.haq --report report.json\n");
  command->add_option("MODEL", arguments->model, "TorchScript or ONNX file")->required();
  command
      ->add_option("--input-shape", options.input_shape,
                   "One sample's shape, C,H,W; default: what an ONNX file declares")
      ->delimiter(',')
      ->type_name("C,H,W");
  command
      ->add_option("--preprocess", arguments->preprocess_file,
                   "JSON file (docs/preprocessing.md); default: pixels / 255")
      ->type_name("FILE");
  CLI::Option_group* images = command->add_option_group("images");
  CLI::Option* calibration =
      images->add_option("--calibration", arguments->calibration, "Folder of images")
          ->type_name("DIR");
  CLI::Option* evaluation =
      images->add_option("--evaluation", arguments->evaluation, "Folder of images in class folders")
          ->type_name("DIR");
  calibration->needs(evaluation);
  evaluation->needs(calibration);
  images
      ->add_option("--synthetic-calibration", arguments->synthetic_images,
                   "N random images instead of folders: speed can be measured, accuracy cannot")
      ->check(NumberFrom(1, 1e6))
      ->excludes(calibration)
      ->type_name("N");
  images->require_option(1, 2);
  command
      ->add_option("--labels", arguments->labels_file,
                   "Text file: the line (from 0) of a class folder's name is its label")
      ->type_name("FILE");
  command->add_option("--classes", arguments->classes_file, "Names of the classes, one a line")
      ->type_name("FILE");
  command->add_option("--limit-calibration", options.limit_calibration, "The first N; 0 is all")
      ->type_name("N");
  command->add_option("--limit-evaluation", options.limit_evaluation, "The first N; 0 is all")
      ->type_name("N");
  AddMethodOptions(command, *arguments);
  command->add_option("--threads", options.threads, "Of the FP32 pass; 0 (default) is every core")
      ->type_name("N");
  command->add_option("--output", arguments->output, "The .haq file to write")
      ->required()
      ->type_name("FILE");
  command->add_option("--report", arguments->report_file, "The report (docs/report.md) as a file")
      ->type_name("FILE");
  command->add_flag("--json", run->json, "Print the report as JSON on stdout");
  command->callback(
      [run, arguments] { run->action = [run, arguments] { return Quantize(*run, *arguments); }; });
}

void AddEvaluate(CLI::App* root, Run* run) {
  auto arguments = std::make_shared<EvaluateArguments>();
  CLI::App* command = root->add_subcommand("evaluate", "Measure the accuracy of a .haq file");
  command->footer("Example:\n  haq-worker evaluate resnet20.haq --evaluation test --limit 1000\n");
  command->add_option("ARTIFACT", arguments->artifact, "The .haq file")->required();
  command->add_option("--evaluation", arguments->evaluation, "Folder of images in class folders")
      ->required()
      ->type_name("DIR");
  command
      ->add_option("--labels", arguments->labels_file,
                   "Text file: the line (from 0) of a class folder's name is its label")
      ->type_name("FILE");
  command->add_option("--limit", arguments->limit, "The first N images; 0 is all")->type_name("N");
  command->add_flag("--skip-self-test", arguments->skip_self_test,
                    "Do not run the artifact's golden inputs first");
  command->add_option("--report", arguments->report_file, "The figures as a JSON file")
      ->type_name("FILE");
  command->add_flag("--json", run->json, "Print the figures as JSON on stdout");
  command->callback(
      [run, arguments] { run->action = [run, arguments] { return Evaluate(*run, *arguments); }; });
}

void AddOperators(CLI::App* root, Run* run) {
  CLI::App* command = root->add_subcommand("operators", "List the operators a model may use");
  command->add_flag("--json", run->json, "Print them as JSON");
  command->callback([run] { run->action = [run] { return Operators(*run); }; });
}

}  // namespace

int Main(int argc, const char* const* argv, std::FILE* out, std::FILE* err) {
  Run run{out, err, false, {}};
  CLI::App root{"Quantizes networks: for a server (serve), or by itself (quantize, evaluate).",
                "haq-worker"};
  root.set_version_flag("--version", "haq-worker " + std::string(kVersion));
  root.require_subcommand(1);
  root.footer(std::string(ExitCodeHelp()));
  AddServe(&root, &run);
  AddQuantize(&root, &run);
  AddEvaluate(&root, &run);
  AddOperators(&root, &run);
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream text, error_text;
    const int code = root.exit(error, text, error_text);
    fmt::print(out, "{}", text.str());
    fmt::print(err, "{}", error_text.str());
    return code == 0 ? kExitOk : kExitUsage;
  }
  const Status status = run.action();
  std::fflush(out);
  if (!status.ok()) {
    fmt::print(err, "haq-worker: {}: {}\n", StatusCodeName(status.code()), status.message());
  }
  return ExitCodeOf(status.code());
}

}  // namespace haq::server::worker
