// Many inference requests under way over many connections, with as little work for each as gRPC
// allows: requests are encoded once, answers are not decoded.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "client/lib/client.h"
#include "core/base/status.h"
#include "inference/inference.pb.h"

namespace haq::client {

class InferChannels {
 public:
  using Done = std::function<void(StatusCode)>;

  // Opens `connections` connections; kUnavailable when one is not open after options.timeout_ms.
  // `threads` threads take the answers.
  static Result<std::unique_ptr<InferChannels>> Connect(
      const ClientOptions& options, int connections, int threads,
      const std::vector<inference::ModelInferRequest>& requests);
  // Waits for the answers that are missing.
  ~InferChannels();
  InferChannels(const InferChannels&) = delete;
  InferChannels& operator=(const InferChannels&) = delete;

  int connections() const;
  // Sends the `request`-th request. `done` is called once, on one of the threads. Thread-safe.
  void Send(int connection, int request, Done done);

 private:
  struct Impl;
  explicit InferChannels(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace haq::client
