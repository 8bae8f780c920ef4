#include "server/http/tls.h"

#include <spdlog/spdlog.h>

#include <boost/asio/buffer.hpp>
#include <utility>

namespace haq::server::http {
namespace {

namespace asio = boost::asio;
using asio::ssl::context;
using boost::system::error_code;

// Resumed sessions are only for servers of the same name; it must be set where clients show
// certificates.
constexpr unsigned char kSessionName[] = "haq-http";

void Limit(context& made) {
  SSL_CTX* const raw = made.native_handle();
  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  SSL_CTX_set_options(
      raw, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_session_id_context(raw, kSessionName, sizeof(kSessionName) - 1);
}

Result<std::shared_ptr<context>> Make(const auth::Certificates& certificates) {
  auto made = std::make_shared<context>(context::tls_server);
  Limit(*made);
  error_code error;
  made->use_certificate_chain(asio::buffer(certificates.certificate_pem), error);
  if (!error) made->use_private_key(asio::buffer(certificates.key_pem), context::pem, error);
  if (!error && !certificates.client_ca_pem.empty()) {
    made->add_certificate_authority(asio::buffer(certificates.client_ca_pem), error);
    made->set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
  }
  if (error) return InvalidArgument("--tls-cert: {}", error.message());
  return made;
}

}  // namespace

Result<std::unique_ptr<TlsContexts>> TlsContexts::Create(
    std::shared_ptr<const auth::CertificateStore> store) {
  std::unique_ptr<TlsContexts> contexts(new TlsContexts(std::move(store)));
  const std::lock_guard lock(contexts->mutex_);
  HAQ_RETURN_IF_ERROR(contexts->Update());
  return Result<std::unique_ptr<TlsContexts>>(std::move(contexts));
}

std::shared_ptr<context> TlsContexts::Current() {
  const std::lock_guard lock(mutex_);
  if (const Status status = Update(); !status.ok()) spdlog::error("http: {}", status.message());
  return context_;
}

Status TlsContexts::Update() {
  auto current = store_->current();
  if (current == made_from_) return {};
  // Once for each set, also when it cannot be used.
  made_from_ = std::move(current);
  HAQ_ASSIGN_OR_RETURN(context_, Make(*made_from_));
  return {};
}

}  // namespace haq::server::http
