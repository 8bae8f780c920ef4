// haq-server: docs/settings.md lists its flags.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "core/base/exit_code.h"
#include "core/base/version.h"
#include "server/app/backup_command.h"
#include "server/app/logging.h"
#include "server/app/server.h"
#include "server/app/settings.h"

namespace haq::server::app {
namespace {

// Written by the handler, read by main. A handler and not a blocked signal and sigwait: libraries
// (OpenBLAS, behind OpenCV) start threads before main, which would take the signal and end the
// program.
int stop_pipe[2] = {-1, -1};

void OnStopSignal(int number) {
  const int saved = errno;
  const auto byte = static_cast<unsigned char>(number);
  // It cannot fail: the pipe is open and empty, for each signal comes here once.
  [[maybe_unused]] const auto written = write(stop_pipe[1], &byte, 1);
  errno = saved;
}

Status CatchStopSignals() {
  if (pipe2(stop_pipe, O_CLOEXEC) != 0) return InternalError("no pipe: {}", strerror(errno));
  struct sigaction action {};
  action.sa_handler = &OnStopSignal;
  action.sa_flags = SA_RESTART | SA_RESETHAND;  // a second signal ends the program at once
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  // A closed stderr or stdout costs log lines, not the server.
  signal(SIGPIPE, SIG_IGN);
  return {};
}

int WaitForStopSignal() {
  unsigned char byte = 0;
  while (read(stop_pipe[0], &byte, 1) < 0 && errno == EINTR) {
  }
  return byte;
}

int Fail(const Status& status) {
  std::fputs(fmt::format("haq-server: {}\n", status.message()).c_str(), stderr);
  return ExitCodeOf(status.code());
}

void WarnOfOpenDoors(const Settings& settings) {
  std::string open;
  if (!settings.tls.enabled()) open = "nothing is encrypted (--tls-cert, --tls-key)";
  if (settings.tls.client_ca.empty()) {
    open += fmt::format("{}nobody is asked who they are (--tls-client-ca)",
                        open.empty() ? "" : ", and ");
  }
  if (open.empty()) return;
  spdlog::warn("--listen {}: other machines can reach this server: {}", settings.listen, open);
}

int Run(const Settings& settings) {
  if (const Status status = CatchStopSignals(); !status.ok()) return Fail(status);
  auto server = Server::Start(settings);
  if (!server.ok()) return Fail(server.status());
  if (IsBeyondLoopback(settings.listen)) {
    WarnOfOpenDoors(settings);
  }
  const Ports ports = (*server)->ports();
  const std::string line =
      fmt::format("haq-server {}: http {}, grpc {}, metrics {}, data {}\n", kVersion,
                  HostPort(settings.listen, ports.http), HostPort(settings.listen, ports.grpc),
                  HostPort(settings.listen, ports.metrics), settings.data_dir.string());
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);

  spdlog::info("signal {}: stopping", WaitForStopSignal());
  (*server)->Stop();
  spdlog::info("stopped");
  return kExitOk;
}

}  // namespace
}  // namespace haq::server::app

int main(int argc, char** argv) {
  if (const auto code = haq::server::app::RunBackupCommand(argc, argv)) return *code;
  const auto parsed = haq::server::app::ParseSettings(argc, argv);
  if (!parsed.settings) return parsed.exit_code;
  haq::server::app::StartLogging(parsed.settings->log_level, parsed.settings->log_json);
  return haq::server::app::Run(*parsed.settings);
}
