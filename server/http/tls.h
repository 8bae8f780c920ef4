// TLS of the HTTP ports: OpenSSL's contexts, made from the certificates that are current.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <mutex>

#include "core/base/status.h"
#include "server/auth/certificates.h"

namespace haq::server::http {

// TLS 1.2 and later; clients' certificates are required where there is an authority for them.
class TlsContexts {
 public:
  // kInvalidArgument when OpenSSL refuses the certificates.
  static Result<std::unique_ptr<TlsContexts>> Create(
      std::shared_ptr<const auth::CertificateStore> store);

  // For a new connection; a connection keeps its own. Thread-safe. Certificates that OpenSSL
  // refuses are logged, and those before stay in use.
  std::shared_ptr<boost::asio::ssl::context> Current();

 private:
  explicit TlsContexts(std::shared_ptr<const auth::CertificateStore> store)
      : store_(std::move(store)) {}
  Status Update();

  const std::shared_ptr<const auth::CertificateStore> store_;
  std::mutex mutex_;
  // Guarded by mutex_.
  std::shared_ptr<const auth::Certificates> made_from_;
  std::shared_ptr<boost::asio::ssl::context> context_;
};

}  // namespace haq::server::http
