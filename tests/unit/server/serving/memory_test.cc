// What loading and unloading leaves behind: nothing.
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>

#include "server/serving/engine.h"
#include "tests/unit/server/serving/test_model.h"

namespace haq::server::serving {
namespace {

// Bytes that were allocated and not freed, in the heap and in mappings of their own.
size_t AllocatedBytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

std::ptrdiff_t Mappings() {
  std::ifstream maps("/proc/self/maps");
  return std::count(std::istreambuf_iterator<char>(maps), std::istreambuf_iterator<char>(), '\n');
}

std::ptrdiff_t OpenFiles() {
  const std::filesystem::directory_iterator files("/proc/self/fd");
  return std::distance(begin(files), end(files));
}

TEST(MemoryTest, AThousandLoadsAndUnloadsLeaveNothing) {
  test::ModelFolder folder;
  const auto path = folder.Save(test::SmallModel(1), "a.haq");
  const auto inputs = test::SmallInputs(3);
  const Request request{.model = "small",
                        .version = "",
                        .inputs = {{"input", "FP32", {3, 3, 8, 8}, FloatContent(inputs)}},
                        .outputs = {},
                        .cancellation = {}};
  metrics::Metrics metrics;
  const Settings settings{.threads = 2};
  Repository repository(settings, metrics);
  Engine engine(settings, repository, metrics);
  const auto cycle = [&](int64_t version) {
    repository.Announce("small", version);
    ASSERT_TRUE(repository.Load("small", version, path).ok());
    std::promise<bool> answered;
    engine.Infer(request, [&](const Result<Response>& r) { answered.set_value(r.ok()); });
    ASSERT_TRUE(answered.get_future().get());
    ASSERT_TRUE(repository.Unload("small").ok());
  };
  for (int64_t version = 1; version <= 50; ++version) cycle(version);
  const size_t bytes = AllocatedBytes();
  const auto mappings = Mappings(), files = OpenFiles();
  for (int64_t version = 51; version <= 1050; ++version) cycle(version);
  // Less than a hundredth of what one model takes may differ by what allocators keep at hand.
  EXPECT_LE(AllocatedBytes(), bytes + (64 << 10));
  EXPECT_LE(Mappings(), mappings + 8);
  EXPECT_EQ(OpenFiles(), files);
}

}  // namespace
}  // namespace haq::server::serving
