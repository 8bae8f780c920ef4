#include "client/cli/connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "core/base/file.h"

namespace haq::client {
namespace {

constexpr const char* kDefaultServer = "127.0.0.1:8001";
constexpr const char* kGroup = "Common options";
constexpr uint64_t kMaxPemBytes = 4 << 20;
constexpr uint64_t kMaxTokenBytes = 4096;

std::string Variable(const char* name, const char* otherwise = "") {
  const char* const value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

bool IsOn(const std::string& value) { return !value.empty() && value != "0" && value != "false"; }

Status Read(const char* flag, const std::string& path, std::string& pem) {
  if (path.empty()) return {};
  auto text = ReadTextFile(path, kMaxPemBytes);
  if (!text.ok()) return text.status().WithContext(flag);
  if (text->find("-----BEGIN ") == std::string::npos) {
    return InvalidArgument("{}: {}: must be PEM; it has no line -----BEGIN", flag, path);
  }
  pem = *std::move(text);
  return {};
}

// A header cannot carry anything else.
Status CheckToken(const std::string& token, const std::string& where) {
  const bool printable =
      std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (token.empty() || !printable) {
    return InvalidArgument("{}: must be one token, of printable characters without spaces", where);
  }
  return {};
}

std::string Trim(const std::string& text) {
  constexpr const char* kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

}  // namespace

bool IsLocal(const std::string& server) {
  for (const char* prefix : {"unix:", "127.", "localhost:", "[::1]:", "ipv4:127.", "ipv6:[::1]:"}) {
    if (server.starts_with(prefix)) return true;
  }
  return server == "localhost";
}

ConnectionFlags::ConnectionFlags()
    : server_(Variable("HAQ_SERVER", kDefaultServer)),
      tls_(IsOn(Variable("HAQ_TLS"))),
      ca_file_(Variable("HAQ_TLS_CA")),
      certificate_file_(Variable("HAQ_TLS_CERT")),
      key_file_(Variable("HAQ_TLS_KEY")),
      server_name_(Variable("HAQ_TLS_SERVER_NAME")),
      token_file_(Variable("HAQ_TOKEN_FILE")) {}

void ConnectionFlags::AddTo(CLI::App* command) {
  command
      ->add_option("--server", server_,
                   fmt::format("HOST:PORT or unix:PATH of the server (HAQ_SERVER; default {})",
                               kDefaultServer))
      ->type_name("HOST:PORT")
      ->group(kGroup);
  command
      ->add_flag("--tls", tls_, "TLS to the server, checked by the system's authorities (HAQ_TLS)")
      ->group(kGroup);
  const auto add = [command](const char* flag, std::string& value, const char* help) {
    command->add_option(flag, value, help)->type_name("FILE")->group(kGroup);
  };
  add("--tls-ca", ca_file_, "TLS, checked by the authorities of this PEM file (HAQ_TLS_CA)");
  add("--tls-cert", certificate_file_,
      "Own certificate, where the server wants one (HAQ_TLS_CERT)");
  add("--tls-key", key_file_, "Key of --tls-cert (HAQ_TLS_KEY)");
  command
      ->add_option("--tls-server-name", server_name_,
                   "Name in the server's certificate, if not the host (HAQ_TLS_SERVER_NAME)")
      ->type_name("NAME")
      ->group(kGroup);
  add("--token-file", token_file_,
      "File with the token to send (HAQ_TOKEN_FILE; HAQ_TOKEN is the token itself)");
}

Status ConnectionFlags::ReadTls(TlsOptions& tls) const {
  if (certificate_file_.empty() != key_file_.empty()) {
    return InvalidArgument("--tls-cert and --tls-key: one needs the other");
  }
  tls.enabled = tls_ || !ca_file_.empty() || !certificate_file_.empty() || !server_name_.empty();
  tls.server_name = server_name_;
  HAQ_RETURN_IF_ERROR(Read("--tls-ca", ca_file_, tls.ca_pem));
  HAQ_RETURN_IF_ERROR(Read("--tls-cert", certificate_file_, tls.certificate_pem));
  return Read("--tls-key", key_file_, tls.key_pem);
}

Result<std::string> ConnectionFlags::ReadToken() const {
  if (token_file_.empty()) {
    std::string token = Variable("HAQ_TOKEN");
    if (!token.empty()) HAQ_RETURN_IF_ERROR(CheckToken(token, "HAQ_TOKEN"));
    return token;
  }
  auto text = ReadTextFile(token_file_, kMaxTokenBytes);
  if (!text.ok()) return text.status().WithContext("--token-file");
  std::string token = Trim(*text);
  HAQ_RETURN_IF_ERROR(CheckToken(token, "--token-file: " + token_file_));
  return token;
}

Result<Connection> ConnectionFlags::Resolve() const {
  Connection connection;
  connection.options.server = server_;
  HAQ_RETURN_IF_ERROR(ReadTls(connection.options.tls));
  HAQ_ASSIGN_OR_RETURN(connection.options.token, ReadToken());
  if (!connection.options.token.empty() && !connection.options.tls.enabled && !IsLocal(server_)) {
    connection.warnings.push_back(
        fmt::format("the token goes to {} without TLS: whoever sees the traffic can use it; "
                    "--tls encrypts it",
                    server_));
  }
  return connection;
}

}  // namespace haq::client
