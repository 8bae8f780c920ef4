// The two gRPC servers: the public one, and the one of the workers on a Unix socket.
#pragma once

#include <grpcpp/server.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "server/api/service.h"
#include "server/auth/certificates.h"
#include "server/rpc/credentials.h"

namespace haq::server::rpc {

struct GrpcOptions {
  std::string address = "127.0.0.1:8001";  // port 0: any free one
  int64_t max_message_bytes = 64 << 20;    // of a request or answer of the public services
  int shutdown_timeout_ms = 5'000;         // how long calls may finish
  int handshake_timeout_ms = 10'000;       // for a new connection's first bytes, TLS or not
  // TLS on the address with them; null: plain.
  std::shared_ptr<const auth::CertificateStore> certificates = {};
};

struct NamedService {
  std::string name;  // "package.Service"
  grpc::Service* service = nullptr;
};

class GrpcServer {
 public:
  // Calls Shutdown.
  ~GrpcServer();

  int port() const { return port_; }
  // What grpc.health.v1 says of the server ("") and of every service on the address, to Check and
  // Watch. At first: not serving.
  void SetServing(bool serving);
  // No new calls; those under way get the time that the options give, and are cancelled then. After
  // it returns no service is called any more. Call Service::BeginShutdown before it.
  void Shutdown();

 private:
  friend Result<std::unique_ptr<GrpcServer>> StartGrpcServer(const GrpcOptions& options,
                                                             api::Service& service,
                                                             const std::vector<NamedService>&);
  GrpcServer() = default;

  GrpcOptions options_;
  int port_ = 0;
  std::unique_ptr<ServerTls> tls_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::vector<std::string> public_names_;  // of the services on the address
  std::unique_ptr<grpc::Server> public_server_;
  std::unique_ptr<grpc::Server> worker_server_;

  std::mutex health_mutex_;
  bool stopping_ = false;  // guarded by health_mutex_: the health service must not be used any more
};

// Serves haq.v1, the services in `extra` (which outlive the server), grpc.health.v1 and reflection
// on the address, and haq.internal.v1 on service.data_folder().worker_socket(), which only this
// user can open. kFailedPrecondition names an address that cannot be listened on, because its port
// is in use or it is not this machine's.
Result<std::unique_ptr<GrpcServer>> StartGrpcServer(const GrpcOptions& options,
                                                    api::Service& service,
                                                    const std::vector<NamedService>& extra = {});

}  // namespace haq::server::rpc
