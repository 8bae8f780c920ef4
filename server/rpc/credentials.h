// How the public gRPC port is secured.
#pragma once

#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "server/auth/certificates.h"

namespace haq::server::rpc {

// Answers the handshakes of a server with the certificates that are current: TLS 1.2 and later, and
// clients' certificates are required when there is an authority for them (whether there is one is
// fixed at the start). It outlives the server.
class ServerTls {
 public:
  explicit ServerTls(std::shared_ptr<const auth::CertificateStore> store);
  ~ServerTls();
  ServerTls(const ServerTls&) = delete;
  ServerTls& operator=(const ServerTls&) = delete;

  // For one port.
  std::shared_ptr<grpc::ServerCredentials> MakeCredentials();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace haq::server::rpc
