// A small HTTP(S)/1.1 server: bounded connections, header, body and times; one thread by default.
//
// What a client can make it spend: `max_connections` sockets, each with at most `max_header_bytes`
// and `max_body_bytes`, and all bodies together `max_buffered_bytes`. A connection is closed when
// its request does not arrive in time, whatever the pace of the single bytes.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/base/status.h"
#include "server/auth/certificates.h"
#include "server/http/router.h"

namespace haq::server::http {

struct Options {
  std::string address = "127.0.0.1";  // a literal IPv4 or IPv6 address
  uint16_t port = 0;                  // 0: a free one
  int threads = 1;
  int max_connections = 256;  // more are answered 503 and closed
  uint32_t max_header_bytes = 16 << 10;
  uint64_t max_body_bytes = 1 << 20;
  // Of requests that arrive or are being answered; more are answered 503. One always fits. Bodies
  // whose size is not told, or that are compressed, count as max_body_bytes.
  uint64_t max_buffered_bytes = 512 << 20;
  // From the first byte, or idle, to the header; and of a TLS handshake.
  std::chrono::milliseconds header_timeout{10'000};
  std::chrono::milliseconds body_timeout{60'000};
  std::chrono::milliseconds write_timeout{60'000};
  std::chrono::milliseconds drain_timeout{2'000};  // Stop() waits so long for answers under way
  // HTTPS with them, of which each handshake takes those that are current; null: plain HTTP.
  std::shared_ptr<const auth::CertificateStore> certificates = {};
};

// Called for every answer; `route` is the pattern that matched, or "none".
using Observer = std::function<void(std::string_view route, int status)>;

class Server {
 public:
  // Listens and answers from now on. kInvalidArgument for an address that is none,
  // kFailedPrecondition when it cannot listen there (port in use, no permission); names both.
  static Result<std::unique_ptr<Server>> Start(const Options& options, Router router,
                                               Observer observer = {});
  // As Stop().
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  uint16_t port() const;

  // Accepts nothing more, lets the answers under way finish (at most drain_timeout), closes the
  // rest and ends the threads. A Respond that is called later does nothing. Idempotent.
  void Stop();

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace haq::server::http
