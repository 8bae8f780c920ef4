// What carries the load generator's requests to a server.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/lib/client.h"
#include "core/base/status.h"
#include "inference/inference.pb.h"

namespace haq::client::load {

class Transport {
 public:
  using Done = std::function<void(StatusCode)>;

  virtual ~Transport() = default;

  virtual int connections() const = 0;
  // Sends the `request`-th of the requests over a connection; `done` is called once, on a thread of
  // the transport and never before Send returns, and may send the next. Thread-safe.
  virtual void Send(int connection, int request, Done done) = 0;
};

struct TransportOptions {
  int connections = 1;  // each a TCP connection of its own
  int threads = 1;      // that take answers
};

// Both open all connections before they return: kUnavailable when one cannot be opened in time. A
// request ends as kDeadlineExceeded after client.timeout_ms.
Result<std::unique_ptr<Transport>> ConnectGrpc(
    const ClientOptions& client, const TransportOptions& options,
    const std::vector<inference::ModelInferRequest>& requests);

// HTTP with the binary tensor extension to `address` (HOST:PORT). A connection carries one request
// at a time; those that are sent meanwhile wait on this side.
Result<std::unique_ptr<Transport>> ConnectHttp(
    const std::string& address, int64_t timeout_ms, const TransportOptions& options,
    const std::vector<inference::ModelInferRequest>& requests);

}  // namespace haq::client::load
