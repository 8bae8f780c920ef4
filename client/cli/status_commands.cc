#include <fmt/format.h>

#include <map>

#include "client/cli/app.h"
#include "client/cli/table.h"
#include "client/lib/names.h"
#include "core/base/exit_code.h"
#include "core/base/version.h"

namespace haq::client {
namespace {

Result<int> ShowStatus(App* app) {
  Client& client = app->client();
  HAQ_ASSIGN_OR_RETURN(const auto metadata, client.ServerMetadata());
  HAQ_ASSIGN_OR_RETURN(const bool ready, client.ServerReady());
  HAQ_ASSIGN_OR_RETURN(const auto models, client.ListModels());
  HAQ_ASSIGN_OR_RETURN(const auto jobs, client.ListJobs(v1::JOB_STATE_UNSPECIFIED));
  std::map<std::string, int64_t> by_state;
  for (const v1::Job& job : jobs) ++by_state[v1::JobState_Name(job.state())];
  int64_t served = 0;
  for (const v1::Model& model : models) served += model.served_version().empty() ? 0 : 1;
  if (app->json()) {
    app->PrintJson({{"server", client.options().server},
                    {"name", metadata.name()},
                    {"version", metadata.version()},
                    {"ready", ready},
                    {"models", models.size()},
                    {"models_served", served},
                    {"jobs", by_state}});
    return kExitOk;
  }
  std::string text = fmt::format("{} {} at {}: {}\n", metadata.name(), metadata.version(),
                                 client.options().server, ready ? "ready" : "not ready");
  text += fmt::format("  models  {}, {} served\n", models.size(), served);
  text += fmt::format("  jobs    {}", jobs.size());
  for (const auto& [state, count] : by_state) text += fmt::format(", {} {}", count, state);
  app->Print(text + "\n");
  return kExitOk;
}

Result<int> ShowVersion(App* app) {
  if (app->json()) {
    app->PrintJson({{"version", kVersion}});
  } else {
    app->Print(fmt::format("haq {}\n", kVersion));
  }
  return kExitOk;
}

}  // namespace

void AddStatusCommands(CLI::App* root, App* app) {
  app->AddCommand(root, "status", "Whether the server answers, and what it does",
                  "haq status\nhaq status --server 10.0.0.5:8001 --json",
                  [app] { return ShowStatus(app); });
  app->AddCommand(root, "version", "The version of this program", "haq version",
                  [app] { return ShowVersion(app); });
}

}  // namespace haq::client
