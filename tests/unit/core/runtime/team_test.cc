#include "core/runtime/team.h"

#include <gtest/gtest.h>

#include <numeric>

namespace haq::runtime {
namespace {

struct Shared {
  Team* team;
  std::vector<int> cells;
  int64_t mismatches = 0;
};

// Every thread writes its cell and, after the barrier, sees what the others wrote.
void WriteAndCompare(void* context, int thread) {
  Shared& shared = *static_cast<Shared*>(context);
  for (int round = 1; round <= 20; ++round) {
    shared.cells[thread] += thread + 1;
    shared.team->Barrier();
    if (thread == 0) {
      for (int i = 0; i < shared.team->threads(); ++i) {
        shared.mismatches +=
            shared.cells[i] % (i + 1) != 0 || shared.cells[i] / (i + 1) % 20 != round % 20;
      }
    }
    shared.team->Barrier();
  }
}

// Many short runs with more threads than processors: a wakeup that is lost hangs here.
TEST(Team, BarriersHoldBackEveryThread) {
  for (const int threads : {1, 2, 3, 7}) {
    Team team(threads);
    ASSERT_EQ(team.threads(), threads);
    Shared shared{&team, std::vector<int>(threads), 0};
    for (int run = 0; run < 60; ++run) team.Run(&WriteAndCompare, &shared);
    EXPECT_EQ(shared.mismatches, 0) << threads;
    for (int i = 0; i < threads; ++i) EXPECT_EQ(shared.cells[i], 60 * 20 * (i + 1));
  }
}

TEST(Team, EndsWithoutARun) { const Team team(4); }

}  // namespace
}  // namespace haq::runtime
