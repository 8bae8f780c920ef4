// How the command line reaches its server: the options that every command takes for it, and their
// environment variables.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "client/lib/client.h"
#include "core/base/status.h"

namespace haq::client {

struct Connection {
  ClientOptions options;
  std::vector<std::string> warnings;
};

class ConnectionFlags {
 public:
  // Takes the environment's values, which options overwrite.
  ConnectionFlags();

  // --server, --tls and what belongs to it, --token-file.
  void AddTo(CLI::App* command);
  // Reads the files that the options name. Failures begin with the option.
  Result<Connection> Resolve() const;

 private:
  Status ReadTls(TlsOptions& tls) const;
  Result<std::string> ReadToken() const;

  std::string server_;
  bool tls_ = false;
  std::string ca_file_, certificate_file_, key_file_, server_name_;
  std::string token_file_;
};

// Whether HOST:PORT or unix:PATH is on this machine.
bool IsLocal(const std::string& server);

}  // namespace haq::client
