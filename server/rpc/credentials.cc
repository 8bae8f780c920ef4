#include "server/rpc/credentials.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>

#include <mutex>
#include <utility>

namespace haq::server::rpc {
namespace {

// gRPC's C++ classes cannot change a certificate, its C functions can.
class CoreCredentials : public grpc::ServerCredentials {
 public:
  explicit CoreCredentials(grpc_server_credentials* core) : core_(core) {}
  ~CoreCredentials() override { grpc_server_credentials_release(core_); }
  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), core_);
  }

  grpc_server_credentials* const core_;
};

}  // namespace

struct ServerTls::Impl {
  // Before every handshake: whether there is a newer set.
  static grpc_ssl_certificate_config_reload_status Fetch(void* impl,
                                                         grpc_ssl_server_certificate_config** made);

  std::shared_ptr<const auth::CertificateStore> store;
  std::mutex mutex;
  std::shared_ptr<const auth::Certificates> given;  // guarded by mutex
};

grpc_ssl_certificate_config_reload_status ServerTls::Impl::Fetch(
    void* impl, grpc_ssl_server_certificate_config** made) {
  auto& self = *static_cast<Impl*>(impl);
  auto current = self.store->current();
  const std::lock_guard lock(self.mutex);
  if (current == self.given) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
  const grpc_ssl_pem_key_cert_pair pair{current->key_pem.c_str(), current->certificate_pem.c_str()};
  // gRPC 1.51 asserts that there is an authority, also where clients' certificates are not asked
  // for; then it does nothing with it.
  const std::string& client_ca =
      current->client_ca_pem.empty() ? current->certificate_pem : current->client_ca_pem;
  *made = grpc_ssl_server_certificate_config_create(client_ca.c_str(), &pair, 1);
  self.given = std::move(current);
  return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
}

ServerTls::ServerTls(std::shared_ptr<const auth::CertificateStore> store)
    : impl_(std::make_unique<Impl>()) {
  impl_->store = std::move(store);
}

ServerTls::~ServerTls() = default;

std::shared_ptr<grpc::ServerCredentials> ServerTls::MakeCredentials() {
  const auto request = impl_->store->files().client_ca.empty()
                           ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                           : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
  // The credentials own the options.
  auto* const options = grpc_ssl_server_credentials_create_options_using_config_fetcher(
      request, &Impl::Fetch, impl_.get());
  return std::make_shared<CoreCredentials>(
      grpc_ssl_server_credentials_create_with_options(options));
}

}  // namespace haq::server::rpc
