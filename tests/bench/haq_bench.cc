// Measures the integer engine: whole models, their layers, and the processor's peak.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/artifact/file.h"
#include "core/base/exit_code.h"
#include "core/kernels/kernels.h"
#include "core/runtime/self_test.h"
#include "core/runtime/session.h"
#include "tests/bench/measure.h"
#include "tests/bench/multiply_adds.h"
#include "tests/bench/peak.h"

namespace haq::bench {
namespace {

using nlohmann::json;
using runtime::LoadedModel;
using runtime::Session;

struct Arguments {
  std::string model, mode = "latency";
  int threads = 1;
  int64_t batch = 1;
  int64_t images = 8;
  double seconds = 2;
  bool json = false, skip_self_test = false;
};

using Model = std::shared_ptr<const LoadedModel>;

// Of the real values of all images of `run`.
constexpr int64_t kMaxInputBytes = int64_t{4} << 30;

Result<Model> LoadModel(const std::string& path, double* load_ms) {
  const double start = WallSeconds();
  HAQ_ASSIGN_OR_RETURN(artifact::Model model, artifact::Load(path));
  HAQ_ASSIGN_OR_RETURN(Model loaded, LoadedModel::Create(std::move(model)));
  *load_ms = (WallSeconds() - start) * 1e3;
  return loaded;
}

Result<std::unique_ptr<Session>> MakeSession(const Model& model, const Arguments& arguments,
                                             int threads) {
  HAQ_ASSIGN_OR_RETURN(auto session,
                       Session::Create(model, arguments.batch, size_t{4} << 30, threads));
  if (!arguments.skip_self_test) HAQ_RETURN_IF_ERROR(runtime::SelfTest(*session));
  return session;
}

// Real values that reach every level of the input.
std::vector<float> MakeInput(const LoadedModel& model, int64_t batch) {
  const artifact::Tensor& tensor = model.model().tensors[model.model().input];
  std::vector<float> input(static_cast<size_t>(model.input_elements() * batch));
  for (size_t i = 0; i < input.size(); ++i) {
    const double level = 127.5 + 128 * std::sin(static_cast<double>(i) * 0.7);
    input[i] = static_cast<float>(level - tensor.zero_point) * tensor.scale;
  }
  return input;
}

// Runs a session for `arguments.seconds` and notes the time of each run; the first few warm up. The
// images come in turn, whatever the batch: an image that was just read is still in the cache.
Status RunInTurn(Session& session, const Arguments& arguments, std::vector<double>* times) {
  const int64_t batch = arguments.batch;
  const int64_t batches = (arguments.images + batch - 1) / batch;
  const int64_t image_bytes = session.model().input_elements() * int64_t{sizeof(float)};
  if (batches * batch > kMaxInputBytes / image_bytes) {
    return InvalidField("--images", "{} images of {} bytes in batches of {}, {} bytes are allowed",
                        arguments.images, image_bytes, batch, kMaxInputBytes);
  }
  const std::vector<float> inputs = MakeInput(session.model(), batches * batch);
  const size_t elements = static_cast<size_t>(session.model().input_elements() * batch);
  std::vector<float> output(static_cast<size_t>(session.model().output_elements() * batch));
  int64_t runs = 0;
  const auto run = [&] {
    const size_t at = static_cast<size_t>(runs++ % batches) * elements;
    return session.Run(batch, std::span(inputs).subspan(at, elements), output);
  };
  for (int i = 0; i < 3; ++i) HAQ_RETURN_IF_ERROR(run());
  const double end = WallSeconds() + arguments.seconds;
  for (double start = WallSeconds(); start < end;) {
    HAQ_RETURN_IF_ERROR(run());
    const double now = WallSeconds();
    times->push_back(now - start);
    start = now;
  }
  return {};
}

// One session of one thread on each of N threads.
Status RunThroughput(const Model& model, const Arguments& arguments, std::vector<double>* times) {
  std::vector<std::vector<double>> of_thread(static_cast<size_t>(arguments.threads));
  std::vector<Status> status(of_thread.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < of_thread.size(); ++i) {
    threads.emplace_back([&, i] {
      auto session = MakeSession(model, arguments, 1);
      status[i] = session.ok() ? RunInTurn(**session, arguments, &of_thread[i]) : session.status();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < of_thread.size(); ++i) {
    HAQ_RETURN_IF_ERROR(status[i]);
    times->insert(times->end(), of_thread[i].begin(), of_thread[i].end());
  }
  return {};
}

// What the model takes without a session, `heap_before` without both: its own memory, and what a
// run brings back of the mapped file.
Result<int64_t> ModelBytes(const Model& model, const std::string& path, int64_t heap_before) {
  {
    HAQ_ASSIGN_OR_RETURN(const auto session, Session::Create(model));
    const std::vector<float> input = MakeInput(*model, 1);
    std::vector<float> output(static_cast<size_t>(model->output_elements()));
    HAQ_RETURN_IF_ERROR(session->Run(1, input, output));
  }
  return HeapBytes() - heap_before + MappedBytes(path);
}

Status RunModel(const Arguments& arguments) {
  double load_ms = 0;
  // The first load allocates what the program keeps whatever is loaded.
  HAQ_RETURN_IF_ERROR(LoadModel(arguments.model, &load_ms).status());
  const int64_t heap_before = HeapBytes();
  HAQ_ASSIGN_OR_RETURN(const Model model, LoadModel(arguments.model, &load_ms));
  HAQ_ASSIGN_OR_RETURN(const int64_t model_bytes, ModelBytes(model, arguments.model, heap_before));
  const auto artifact_bytes = static_cast<int64_t>(std::filesystem::file_size(arguments.model));
  const Peak peak = MeasurePeak(model->kernel_path());
  const bool latency = arguments.mode == "latency";
  const int session_threads = latency ? arguments.threads : 1;
  std::vector<double> all;
  if (latency) {
    HAQ_ASSIGN_OR_RETURN(const auto session, MakeSession(model, arguments, session_threads));
    HAQ_RETURN_IF_ERROR(RunInTurn(*session, arguments, &all));
  } else {
    HAQ_RETURN_IF_ERROR(RunThroughput(model, arguments, &all));
  }
  const Times times = Summarize(std::move(all));
  const double sessions = latency ? 1 : arguments.threads;
  const double images = static_cast<double>(arguments.batch) * sessions / times.median;
  const double gmacs = images * static_cast<double>(MultiplyAdds(model->model())) * 1e-9;
  const double share = peak.gmacs > 0 ? gmacs / (peak.gmacs * arguments.threads) : 0;
  const json report = {{"model", arguments.model},
                       {"kernels", model->kernel_path()},
                       {"mode", arguments.mode},
                       {"threads", arguments.threads},
                       {"batch", arguments.batch},
                       {"images", arguments.images},
                       {"runs", times.runs},
                       {"median_ms", times.median * 1e3},
                       {"min_ms", times.min * 1e3},
                       {"p99_ms", times.p99 * 1e3},
                       {"images_per_second", images},
                       {"multiply_adds", MultiplyAdds(model->model())},
                       {"gmacs_per_second", gmacs},
                       {"peak_instruction", peak.instruction},
                       {"peak_gmacs_per_second", peak.gmacs},
                       {"share_of_peak", share},
                       {"load_ms", load_ms},
                       {"model_bytes", model_bytes},
                       {"artifact_bytes", artifact_bytes},
                       {"session_bytes", model->ArenaBytes(arguments.batch, session_threads)},
                       {"peak_memory_bytes", PeakMemoryBytes()}};
  if (arguments.json) {
    fmt::print("{}\n", report.dump(2));
    return {};
  }
  fmt::print("{}  kernels {}  {} {}  batch {}\n", arguments.model, model->kernel_path(),
             arguments.threads, latency ? "thread(s), one inference" : "independent session(s)",
             arguments.batch);
  fmt::print("median {:.3f} ms  min {:.3f} ms  p99 {:.3f} ms  ({} runs)\n", times.median * 1e3,
             times.min * 1e3, times.p99 * 1e3, times.runs);
  fmt::print("{:.1f} images/s  {:.1f} GMAC/s  {:.1f} % of {} x {:.1f} ({})\n", images, gmacs,
             share * 100, arguments.threads, peak.gmacs, peak.instruction);
  fmt::print(
      "load {:.1f} ms  model {:.2f} MiB ({:.2f} times the file)  session {:.2f} MiB  peak memory "
      "{:.1f} MiB\n",
      load_ms, static_cast<double>(model_bytes) / (1 << 20),
      static_cast<double>(model_bytes) / static_cast<double>(artifact_bytes),
      static_cast<double>(model->ArenaBytes(arguments.batch, session_threads)) / (1 << 20),
      static_cast<double>(PeakMemoryBytes()) / (1 << 20));
  return {};
}

// The time from one tap to the next is the layer's.
Status RunLayers(const Arguments& arguments) {
  double load_ms = 0;
  HAQ_ASSIGN_OR_RETURN(const Model model, LoadModel(arguments.model, &load_ms));
  HAQ_ASSIGN_OR_RETURN(const auto session, MakeSession(model, arguments, arguments.threads));
  const Peak peak = MeasurePeak(model->kernel_path());
  const std::vector<float> input = MakeInput(*model, arguments.batch);
  std::vector<float> output(static_cast<size_t>(model->output_elements() * arguments.batch));
  const artifact::Model& layers = model->model();
  std::vector<std::vector<double>> times(layers.layers.size() + 1);
  size_t next = 0;
  double last = 0;
  const auto tap = [&](int32_t, std::span<const uint8_t>) {
    const double now = WallSeconds();
    times[next++].push_back(now - last);
    last = WallSeconds();
  };
  for (const double end = WallSeconds() + arguments.seconds; WallSeconds() < end;) {
    next = 0;
    last = WallSeconds();
    HAQ_RETURN_IF_ERROR(session->Run(arguments.batch, input, output, tap));
  }
  json rows = json::array();
  const auto add = [&](const std::string& name, std::string_view op, const std::string& shape,
                       int64_t macs, std::vector<double> seconds) {
    const Times summary = Summarize(std::move(seconds));
    const double gmacs =
        static_cast<double>(macs * arguments.batch) / std::max(summary.min, 1e-9) * 1e-9;
    rows.push_back(
        {{"name", name},
         {"op", op},
         {"shape", shape},
         {"median_us", summary.median * 1e6},
         {"min_us", summary.min * 1e6},
         {"multiply_adds", macs},
         {"gmacs_per_second", gmacs},
         {"share_of_peak", peak.gmacs > 0 ? gmacs / (peak.gmacs * arguments.threads) : 0}});
  };
  add("input", "quantize", "", 0, times[0]);
  for (size_t i = 0; i < layers.layers.size(); ++i) {
    const artifact::Layer& layer = layers.layers[i];
    std::string shape = fmt::format("{}", fmt::join(layers.tensors[layer.inputs[0]].shape, "x"));
    shape += fmt::format(" -> {}", fmt::join(layers.tensors[layer.output].shape, "x"));
    const auto describe = [&](const auto* conv) {
      if (conv == nullptr) return;
      shape += fmt::format("  {}x{}/{} g{}", conv->kernel_h, conv->kernel_w, conv->stride_h,
                           conv->groups);
      if (layer.inputs.size() > 1) shape += " +residual";
    };
    describe(std::get_if<artifact::Conv2d>(&layer.op));
    describe(std::get_if<artifact::WideConv2d>(&layer.op));
    add(layer.name, artifact::OpName(layer.op), shape, MultiplyAdds(layers, layer), times[i + 1]);
  }
  if (arguments.json) {
    fmt::print("{}\n", json{{"kernels", model->kernel_path()}, {"layers", rows}}.dump(2));
    return {};
  }
  double sum = 0;
  for (const json& row : rows) {
    sum += row["min_us"].get<double>();
    fmt::print("{:9.1f} us {:7.1f} GMAC/s {:5.1f} %  {:10} {:44} {}\n", row["min_us"].get<double>(),
               row["gmacs_per_second"].get<double>(), row["share_of_peak"].get<double>() * 100,
               row["op"].get<std::string>(), row["shape"].get<std::string>(),
               row["name"].get<std::string>());
  }
  fmt::print("{:9.1f} us in all, kernels {}\n", sum, model->kernel_path());
  return {};
}

Status RunPeak(const Arguments& arguments) {
  HAQ_ASSIGN_OR_RETURN(const kernels::KernelTable* const kernels, kernels::ActiveKernels());
  const Peak peak = MeasurePeak(kernels->name);
  if (peak.gmacs == 0) return Unsupported("kernels {}: there is no peak to measure", kernels->name);
  if (arguments.json) {
    fmt::print("{}\n",
               json{{"instruction", peak.instruction}, {"gmacs_per_second", peak.gmacs}}.dump(2));
  } else {
    fmt::print("{:.1f} GMAC/s ({})\n", peak.gmacs, peak.instruction);
  }
  return {};
}

int Main(int argc, char** argv) {
  Arguments arguments;
  Status (*action)(const Arguments&) = nullptr;
  CLI::App root{"Measures the integer engine. HAQ_CPU=scalar|avx2|avx512vnni forces the kernels.",
                "haq-bench"};
  root.require_subcommand(1);
  const auto add = [&](const char* name, const char* help, Status (*run)(const Arguments&)) {
    CLI::App* command = root.add_subcommand(name, help);
    command->add_flag("--json", arguments.json, "Print JSON");
    command->callback([&action, run] { action = run; });
    return command;
  };
  add("peak", "Multiply-adds a second in registers alone", &RunPeak);
  for (CLI::App* command : {add("run", "Time whole inferences", &RunModel),
                            add("layers", "Time every layer", &RunLayers)}) {
    command->add_option("MODEL", arguments.model, "The .haq file")->required();
    command->add_option("--threads", arguments.threads, "Threads (default 1)")
        ->check(CLI::Range(1, Session::kMaxThreads));
    command->add_option("--batch", arguments.batch, "Images a run (default 1)")
        ->check(CLI::Range(1, 1 << 16));
    command->add_flag("--skip-self-test", arguments.skip_self_test,
                      "Do not run the artifact's golden inputs first");
    command->add_option("--seconds", arguments.seconds, "How long (default 2)")
        ->check(CLI::Range(0.01, 3600.0))
        ->check([](const std::string& text) {
          return text.find_first_of("nN") == std::string::npos ? "" : "not a number: " + text;
        });
  }
  root.get_subcommand("run")
      ->add_option("--images", arguments.images,
                   "Different images, in turn (default 8); 1 runs on the same image, which stays "
                   "in the cache")
      ->check(CLI::Range(1, 1 << 16));
  root.get_subcommand("run")
      ->add_option(
          "--mode", arguments.mode,
          "latency (default): the threads share one inference; throughput: each thread has "
          "its own")
      ->check(CLI::IsMember({"latency", "throughput"}));
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return root.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  const Status status = action(arguments);
  if (!status.ok()) {
    fmt::print(stderr, "haq-bench: {}: {}\n", StatusCodeName(status.code()), status.message());
  }
  return ExitCodeOf(status.code());
}

}  // namespace
}  // namespace haq::bench

int main(int argc, char** argv) { return haq::bench::Main(argc, argv); }
