// The settings of haq-server: flags, environment variables, the configuration file and
// defaults. docs/settings.md lists
// them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "server/api/limits.h"
#include "server/auth/certificates.h"
#include "server/jobs/queue.h"
#include "server/sandbox/isolation.h"
#include "server/serving/settings.h"

namespace haq::server::app {

struct Settings {
  std::filesystem::path data_dir = "haq-data";
  std::string listen = "127.0.0.1";
  uint16_t http_port = 8000;
  uint16_t grpc_port = 8001;
  uint16_t metrics_port = 8002;
  auth::CertificateFiles tls;

  std::filesystem::path worker_binary;  // empty: haq-worker beside this program
  int workers = 1;
  int64_t gc_grace_s = 86'400;
  int64_t gc_period_s = 3600;
  sandbox::Options isolation;  // of the workers

  serving::Settings serving;
  api::Limits api;
  jobs::QueueOptions jobs;
  int64_t max_message_bytes = 64 << 20;
  int http_threads = 2;
  int max_http_connections = 256;
  uint32_t max_http_header_bytes = 16 << 10;
  int http_timeout_ms = 10'000;
  uint64_t max_http_body_bytes = 64 << 20;
  uint64_t max_http_buffered_bytes = 512 << 20;
  int http_body_timeout_ms = 60'000;
  int stop_timeout_ms = 5'000;
  int drain_delay_ms = 0;

  std::string log_level = "info";
  bool log_json = false;
};

// What the command line asks for: settings, or (--help, --version, an error: already printed) an
// exit code.
struct ParsedSettings {
  std::optional<Settings> settings;
  int exit_code = 0;
};
ParsedSettings ParseSettings(int argc, const char* const* argv);

// True when other machines can reach a server that listens there.
bool IsBeyondLoopback(const std::string& listen);
// "127.0.0.1:8001", "[::1]:8001".
std::string HostPort(const std::string& host, int port);

}  // namespace haq::server::app
