// Writes the first inputs of the artifact fuzzer into the folder given: a small model of each
// operator, and one of all.
#include <cstdio>
#include <filesystem>
#include <functional>

#include "core/artifact/clipping.h"
#include "core/artifact/file.h"
#include "tests/support/model_builder.h"
#include "tests/support/random_models.h"

namespace {

using haq::test::ModelBuilder;

struct Seed {
  const char* name;
  std::vector<int32_t> shape;
  std::function<int32_t(ModelBuilder&)> build;
};

const Seed kSeeds[] = {
    {"conv", {4, 4, 2}, [](auto& b) { return b.Conv(b.input(), {.kernel = 3, .padding = 1}); }},
    {"depthwise",
     {4, 4, 8},
     [](auto& b) { return b.Conv(b.input(), {.kernel = 3, .stride = 2, .groups = 8}); }},
    {"residual",
     {4, 4, 2},
     [](auto& b) {
       return b.Conv(b.input(),
                     {.out_channels = 2, .kernel = 3, .padding = 1, .residual = b.input()});
     }},
    {"grouped", {4, 4, 4}, [](auto& b) { return b.Conv(b.input(), {.groups = 2}); }},
    {"wide_conv",
     {4, 4, 2},
     [](auto& b) { return b.Conv(b.input(), {.kernel = 3, .padding = 1, .wide = true}); }},
    {"wide_residual",
     {4, 4, 2},
     [](auto& b) {
       const int32_t x = b.Add(b.input(), b.input(), true);
       return b.Conv(x, {.out_channels = 2, .groups = 2, .residual = x});
     }},
    {"wide_linear", {7}, [](auto& b) { return b.Linear(b.input(), 3, true); }},
    {"wide_pool",
     {4, 4, 3},
     [](auto& b) {
       const int32_t x = b.Add(b.input(), b.GlobalAvgPool(b.input()), true);
       return b.AvgPool(b.MaxPool(x, 3, 1, 1), 3, 2, 1, true);
     }},
    {"linear", {7}, [](auto& b) { return b.Linear(b.input(), 3); }},
    {"add", {2, 2, 3}, [](auto& b) { return b.Add(b.input(), b.GlobalAvgPool(b.input())); }},
    {"mul", {2, 2, 3}, [](auto& b) { return b.Mul(b.input(), b.input()); }},
    {"table", {5}, [](auto& b) { return b.Table(b.input()); }},
    {"concat",
     {2, 3, 2},
     [](auto& b) {
       return b.Concat({b.input(), b.input()}, 1);
     }},
    {"max_pool", {5, 4, 3}, [](auto& b) { return b.MaxPool(b.input(), 3, 2, 1); }},
    {"avg_pool", {5, 4, 3}, [](auto& b) { return b.AvgPool(b.input(), 3, 2, 1, true); }},
    {"pad",
     {2, 2, 2},
     [](auto& b) {
       return b.Pad(b.input(), {1, 0, 2}, {0, 1, 0});
     }},
    {"slice", {6, 2, 2}, [](auto& b) { return b.Slice(b.input(), 0, 1, 2, 3); }},
    {"transpose",
     {2, 3, 4},
     [](auto& b) {
       return b.Transpose(b.input(), {2, 0, 1});
     }},
    {"reshape", {2, 3, 4}, [](auto& b) { return b.Reshape(b.input(), {24}); }},
    {"softmax", {3, 4}, [](auto& b) { return b.Softmax(b.input()); }},
};

bool Write(const haq::artifact::Model& model, const std::filesystem::path& path) {
  const haq::Status status = haq::artifact::Save(model, path);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: fuzz_artifact_seeds FOLDER\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  bool ok = Write(haq::test::EveryOperator(), folder / "seed_every_operator");
  ok = Write(haq::test::EveryWideOperator(), folder / "seed_every_wide_operator") && ok;
  haq::artifact::Model watched = haq::test::EveryOperator();
  haq::artifact::WriteClipping({7, {{watched.input, true, true, 3}}}, watched);
  ok = Write(watched, folder / "seed_clipping") && ok;
  for (const Seed& seed : kSeeds) {
    ModelBuilder builder(seed.shape, 1);
    const int32_t output = seed.build(builder);
    ok = Write(builder.Finish(output), folder / (std::string("seed_") + seed.name)) && ok;
  }
  return ok ? 0 : 1;
}
