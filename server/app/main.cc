// haq-server: docs/settings.md lists its flags.
#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <string>

#include "core/base/exit_code.h"
#include "core/base/version.h"
#include "server/app/logging.h"
#include "server/app/server.h"
#include "server/app/settings.h"

namespace haq::server::app {
namespace {

sigset_t StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

int Run(const Settings& settings) {
  // Blocked before the first thread exists, so that no thread but this one gets them.
  const sigset_t stop_signals = StopSignals();
  pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  auto server = Server::Start(settings);
  if (!server.ok()) {
    std::fputs(fmt::format("haq-server: {}\n", server.status().message()).c_str(), stderr);
    return ExitCodeOf(server.status().code());
  }
  if (IsBeyondLoopback(settings.listen)) {
    spdlog::warn(
        "--listen {}: other machines can reach this server, which asks nobody for a password",
        settings.listen);
  }
  const Ports ports = (*server)->ports();
  const std::string line =
      fmt::format("haq-server {}: http {}, grpc {}, metrics {}, data {}\n", kVersion,
                  HostPort(settings.listen, ports.http), HostPort(settings.listen, ports.grpc),
                  HostPort(settings.listen, ports.metrics), settings.data_dir.string());
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);

  int signal_number = 0;
  sigwait(&stop_signals, &signal_number);
  spdlog::info("signal {}: stopping", signal_number);
  // A second signal ends the program at once.
  pthread_sigmask(SIG_UNBLOCK, &stop_signals, nullptr);
  (*server)->Stop();
  spdlog::info("stopped");
  return kExitOk;
}

}  // namespace
}  // namespace haq::server::app

int main(int argc, char** argv) {
  const auto parsed = haq::server::app::ParseSettings(argc, argv);
  if (!parsed.settings) return parsed.exit_code;
  haq::server::app::StartLogging(parsed.settings->log_level, parsed.settings->log_json);
  return haq::server::app::Run(*parsed.settings);
}
