// haq-bench-calibration: the FP32 pass against LibTorch's, and calibration against the FP32 pass.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "core/base/file.h"
#include "core/calib/calibrator.h"
#include "core/data/dataset.h"
#include "core/float_exec/executor.h"
#include "core/import/torchscript/import.h"
#include "core/pipeline/image_batches.h"
#include "tests/bench/libtorch_peer.h"
#include "tests/bench/paired.h"

namespace haq::bench {
namespace {

struct Arguments {
  std::string model, images, preprocess_file;
  std::vector<int64_t> input_shape;
  std::vector<int> threads{1, static_cast<int>(std::thread::hardware_concurrency())};
  int64_t count = 0;
  int rounds = 9;
  bool calibration_only = false, json = false;
};

// A side and the one that it is compared with, if any.
struct Compared {
  Side side;
  int base = -1;
};

class Bench {
 public:
  explicit Bench(const Arguments& arguments) : arguments_(arguments) {}

  Status Run() {
    HAQ_ASSIGN_OR_RETURN(const MappedFile model, MappedFile::Open(arguments_.model));
    HAQ_ASSIGN_OR_RETURN(graph_, import::ImportTorchScript(model.bytes(), arguments_.input_shape));
    HAQ_ASSIGN_OR_RETURN(elements_, ir::ElementCount(graph_.values[graph_.input].shape));
    HAQ_ASSIGN_OR_RETURN(const int64_t out, ir::ElementCount(graph_.values[graph_.output].shape));
    batch_ = calib::MicroBatchImages(elements_);
    output_.resize(batch_ * out);
    HAQ_RETURN_IF_ERROR(arguments_.images.empty() ? DrawImages() : ReadImages());
    try {
      if (!arguments_.calibration_only) peer_ = std::make_unique<LibTorchPeer>(arguments_.model);
      for (const int threads : arguments_.threads) HAQ_RETURN_IF_ERROR(Measure(threads));
    } catch (const std::exception& error) {
      return InternalError("LibTorch: {}", error.what());
    }
    if (arguments_.json) fmt::print("{}\n", results_.dump(2));
    return {};
  }

 private:
  Status DrawImages() {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    images_ = arguments_.count > 0 ? arguments_.count : 4 * batch_;
    input_.resize(images_ * elements_);
    for (float& value : input_) value = normal(random);
    return {};
  }

  Status ReadImages() {
    std::string json = "{}";
    if (!arguments_.preprocess_file.empty()) {
      HAQ_ASSIGN_OR_RETURN(json, ReadTextFile(arguments_.preprocess_file));
    }
    HAQ_ASSIGN_OR_RETURN(preprocess_, data::Preprocess::FromJson(json));
    HAQ_ASSIGN_OR_RETURN(listing_, data::ListFolder(arguments_.images));
    ThreadPool pool;
    HAQ_RETURN_IF_ERROR(ForEachBatch(pool, [&](int64_t n, std::span<const float> batch) -> Status {
      images_ += n;
      input_.insert(input_.end(), batch.begin(), batch.end());
      return {};
    }));
    return {};
  }

  // The folder's images, decoded now.
  template <typename Body>
  Status ForEachBatch(ThreadPool& pool, Body body) const {
    const auto reader = data::ReadFolder(listing_);
    pipeline::ImageBatches batches(*reader, preprocess_, arguments_.input_shape, arguments_.count,
                                   pool);
    for (pipeline::Batch batch;;) {
      HAQ_RETURN_IF_ERROR(batches.Next(batch));
      if (batch.n == 0) return {};
      HAQ_RETURN_IF_ERROR(body(batch.n, batch.input));
    }
  }

  // The images in memory, `most` at a time.
  template <typename Body>
  Status ForEachInMemory(int64_t most, Body body) {
    for (int64_t at = 0; at < images_; at += most) {
      const int64_t n = std::min(most, images_ - at);
      HAQ_RETURN_IF_ERROR(
          body(n, std::span<const float>(input_).subspan(at * elements_, n * elements_)));
    }
    return {};
  }

  Status RunFp32(int64_t n, std::span<const float> input) {
    const size_t outputs = output_.size() / batch_;
    return executor_->Run(n, input, std::span(output_).first(n * outputs));
  }

  Status RunPeer(int64_t n, std::span<const float> input, int threads) {
    std::vector<int64_t> shape = arguments_.input_shape;
    shape.insert(shape.begin(), n);
    peer_->Run(shape, input, threads, std::span(output_).first(output_.size() / batch_ * n));
    return {};
  }

  std::vector<Compared> SidesInMemory(int threads) {
    std::vector<Compared> sides;
    const auto add = [&](std::string name, int base, std::function<Status()> run) {
      sides.push_back({{std::move(name), std::move(run)}, base});
    };
    if (!arguments_.calibration_only) {
      for (const int64_t n : {int64_t{1}, batch_}) {
        add(fmt::format("LibTorch optimized, batch {}", n), -1, [this, n, threads] {
          return ForEachInMemory(
              n, [&](int64_t count, auto in) { return RunPeer(count, in, threads); });
        });
        add(fmt::format("FP32, batch {}", n), static_cast<int>(sides.size()) - 1, [this, n] {
          return ForEachInMemory(n, [&](int64_t count, auto in) { return RunFp32(count, in); });
        });
      }
    }
    add("calibration, all methods", static_cast<int>(sides.size()) - 1, [this] {
      calib::Calibrator calibrator(graph_, "redistribution");
      return calibrator.ObserveBatch(*executor_, images_, input_);
    });
    return sides;
  }

  void AddSidesWithDecoding(ThreadPool& pool, std::vector<Compared>& sides) {
    const int base = static_cast<int>(sides.size());
    sides.push_back({{"decoding and FP32",
                      [&] {
                        return ForEachBatch(
                            pool, [&](int64_t n, auto input) { return RunFp32(n, input); });
                      }},
                     -1});
    sides.push_back({{"decoding and calibration",
                      [&] {
                        calib::Calibrator calibrator(graph_, "redistribution");
                        return ForEachBatch(pool, [&](int64_t n, auto input) {
                          return calibrator.ObserveBatch(*executor_, n, input);
                        });
                      }},
                     base});
  }

  Status Measure(int threads) {
    HAQ_ASSIGN_OR_RETURN(executor_, float_exec::Executor::Create(graph_, threads));
    ThreadPool pool(threads);
    std::vector<Compared> sides = SidesInMemory(threads);
    if (!arguments_.images.empty() && !arguments_.calibration_only)
      AddSidesWithDecoding(pool, sides);
    std::vector<Side> plain;
    for (const Compared& compared : sides) plain.push_back(compared.side);
    HAQ_ASSIGN_OR_RETURN(const std::vector<Times> times, RunInTurn(plain, arguments_.rounds));
    Print(threads, sides, times);
    return {};
  }

  void Print(int threads, const std::vector<Compared>& sides, const std::vector<Times>& times) {
    if (!arguments_.json) {
      fmt::print("{}, {} images, {} thread{}, {} rounds\n", arguments_.model, images_, threads,
                 threads == 1 ? "" : "s", arguments_.rounds);
      fmt::print("{:<28} {:>12} {:>12}   ratio to (wall, CPU)\n", "", "wall ms/img", "CPU ms/img");
    }
    for (size_t i = 0; i < sides.size(); ++i) {
      const double scale = 1000.0 / static_cast<double>(images_);
      const double wall = scale * Median(times[i].wall_seconds);
      const double cpu = scale * Median(times[i].cpu_seconds);
      nlohmann::json row{{"threads", threads},
                         {"side", sides[i].side.name},
                         {"wall_ms_per_image", wall},
                         {"cpu_ms_per_image", cpu}};
      std::string ratio;
      if (const int base = sides[i].base; base >= 0) {
        const double of_wall = MedianRatio(times[i].wall_seconds, times[base].wall_seconds);
        const double of_cpu = MedianRatio(times[i].cpu_seconds, times[base].cpu_seconds);
        row["base"] = sides[base].side.name;
        row["wall_ratio"] = of_wall;
        row["cpu_ratio"] = of_cpu;
        ratio = fmt::format("   {}: {:.2f}, {:.2f}", sides[base].side.name, of_wall, of_cpu);
      }
      results_.push_back(std::move(row));
      if (!arguments_.json) {
        fmt::print("{:<28} {:>12.3f} {:>12.3f}{}\n", sides[i].side.name, wall, cpu, ratio);
      }
    }
  }

  const Arguments& arguments_;
  ir::Graph graph_;
  data::Preprocess preprocess_;
  data::FolderListing listing_;
  int64_t elements_ = 0, batch_ = 0, images_ = 0;
  std::vector<float> input_, output_;
  std::unique_ptr<LibTorchPeer> peer_;
  std::unique_ptr<float_exec::Executor> executor_;
  nlohmann::json results_ = nlohmann::json::array();
};

int Main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app(
      "Times the FP32 pass against LibTorch's optimize_for_inference of the same model, and\n"
      "calibration for all methods against the FP32 pass, all in turn in one run.");
  app.add_option("MODEL", arguments.model, "TorchScript file")->required();
  app.add_option("--input-shape", arguments.input_shape, "One sample's shape, C,H,W")
      ->delimiter(',')
      ->required();
  app.add_option("--images", arguments.images,
                 "Folder of images (default: random values, and no decoding is timed)");
  app.add_option("--preprocess", arguments.preprocess_file, "JSON file, with --images");
  app.add_option("--count", arguments.count,
                 "How many images (default: all of the folder, or four batches of random ones)")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--threads", arguments.threads, "Thread counts (default: 1 and every core)")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  app.add_option("--rounds", arguments.rounds, "Measured runs of each side (9)")
      ->check(CLI::PositiveNumber);
  app.add_flag("--calibration-only", arguments.calibration_only,
               "Time calibration alone, for a script that has the other side");
  app.add_flag("--json", arguments.json, "Print JSON");
  CLI11_PARSE(app, argc, argv);
  const Status status = Bench(arguments).Run();
  if (status.ok()) return 0;
  fmt::print(stderr, "haq-bench-calibration: {}\n", status.ToString());
  return 1;
}

}  // namespace
}  // namespace haq::bench

int main(int argc, char** argv) { return haq::bench::Main(argc, argv); }
