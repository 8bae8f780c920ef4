// haq-demo-data: draws the data set of the demo.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>

#include "core/base/exit_code.h"
#include "core/base/status.h"
#include "deploy/demo/drawing.h"

namespace haq::demo {
namespace {

struct Options {
  std::string output;
  uint64_t seed = 1;
  int calibration = 1000;
  int test = 2000;
  int train = 0;
};

Status DrawAll(const Options& options) {
  const std::pair<Split, int> splits[] = {{Split::kCalibration, options.calibration},
                                          {Split::kTest, options.test},
                                          {Split::kTrain, options.train}};
  for (const auto& [split, count] : splits) {
    if (count == 0) continue;
    HAQ_RETURN_IF_ERROR(DrawSplit(options.seed, split, count, options.output));
    fmt::print("{}/{}: {} images\n", options.output, SplitName(split), count);
  }
  return Status::Ok();
}

int Run(int argc, char** argv) {
  Options options;
  CLI::App app(
      "Draws images of ten shapes, 32 x 32 pixels, into OUT/calibration, OUT/test and OUT/train, "
      "one folder a class. The same seed draws the same images on every machine.",
      "haq-demo-data");
  const CLI::Range count(0, 1'000'000);
  app.add_option("OUT", options.output, "folder to make the images in")->required();
  app.add_option("--seed", options.seed, "which images")->capture_default_str();
  app.add_option("--calibration", options.calibration, "images to calibrate with")
      ->check(count)
      ->capture_default_str();
  app.add_option("--test", options.test, "images to evaluate with")
      ->check(count)
      ->capture_default_str();
  app.add_option("--train", options.train, "images to train with (see train.py)")
      ->check(count)
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  const Status status = DrawAll(options);
  if (status.ok()) return kExitOk;
  fmt::print(stderr, "haq-demo-data: {}\n", status.ToString());
  return ExitCodeOf(status.code());
}

}  // namespace
}  // namespace haq::demo

int main(int argc, char** argv) {
  try {
    return haq::demo::Run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "haq-demo-data: %s\n", error.what());
    return haq::kExitFailure;
  }
}
