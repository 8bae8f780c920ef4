#include "client/lib/diagnosis.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace haq::client {
namespace {

constexpr int kTimeoutMs = 2000;

struct Free {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

struct Address {
  std::string host, port;
};

// "host:8001", "[::1]:8001"; no port: anything else.
Address Split(const std::string& server) {
  const size_t colon = server.rfind(':');
  if (colon == std::string::npos || server.starts_with("unix:")) return {};
  std::string host = server.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.starts_with("dns:") || host.starts_with("ipv4:")) host = host.substr(host.find(':') + 1);
  return {host, server.substr(colon + 1)};
}

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() { ::close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

  // "" when it is connected.
  std::string Connect(const addrinfo& address) const {
    const timeval timeout{kTimeoutMs / 1000, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    if (::connect(fd_, address.ai_addr, address.ai_addrlen) == 0) return "";
    if (errno == ECONNREFUSED) return "nothing listens there";
    if (errno == EINPROGRESS || errno == EAGAIN) return "there is no answer";
    return std::strerror(errno);
  }

 private:
  const int fd_;
};

std::string LastError() {
  const unsigned long code = ERR_peek_last_error();
  const char* const reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "the server ended the connection" : reason;
}

bool Use(SSL_CTX* context, const TlsOptions& tls, std::string& problem) {
  if (tls.ca_pem.empty()) {
    SSL_CTX_set_default_verify_paths(context);
  } else {
    const Owned<BIO> bio(BIO_new_mem_buf(tls.ca_pem.data(), static_cast<int>(tls.ca_pem.size())));
    X509_STORE* const store = SSL_CTX_get_cert_store(context);
    while (const Owned<X509> authority{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
      X509_STORE_add_cert(store, authority.get());
    }
  }
  if (tls.certificate_pem.empty()) return true;
  const Owned<BIO> certificate_bio(
      BIO_new_mem_buf(tls.certificate_pem.data(), static_cast<int>(tls.certificate_pem.size())));
  const Owned<BIO> key_bio(
      BIO_new_mem_buf(tls.key_pem.data(), static_cast<int>(tls.key_pem.size())));
  const Owned<X509> certificate(
      PEM_read_bio_X509(certificate_bio.get(), nullptr, nullptr, nullptr));
  const Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(
      key_bio.get(), nullptr, [](char*, int, int, void*) { return -1; }, nullptr));
  if (certificate && key && SSL_CTX_use_certificate(context, certificate.get()) == 1 &&
      SSL_CTX_use_PrivateKey(context, key.get()) == 1) {
    return true;
  }
  problem = "--tls-cert and --tls-key are no certificate and its key: " + LastError();
  return false;
}

void ExpectName(SSL* ssl, const std::string& name) {
  in6_addr address{};
  if (inet_pton(AF_INET, name.c_str(), &address) == 1 ||
      inet_pton(AF_INET6, name.c_str(), &address) == 1) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str());
  } else {
    SSL_set_tlsext_host_name(ssl, name.c_str());
    SSL_set1_host(ssl, name.c_str());
  }
}

std::string HandshakeProblem(const SSL* ssl, const std::string& name) {
  const long verified = SSL_get_verify_result(ssl);
  if (verified == X509_V_ERR_HOSTNAME_MISMATCH || verified == X509_V_ERR_IP_ADDRESS_MISMATCH) {
    return fmt::format("TLS: the server's certificate is not for {} (--tls-server-name)", name);
  }
  if (verified != X509_V_OK) {
    return fmt::format("TLS: the server's certificate is not accepted: {} (--tls-ca)",
                       X509_verify_cert_error_string(verified));
  }
  const int reason = ERR_GET_REASON(ERR_peek_last_error());
  if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_PACKET_LENGTH_TOO_LONG) {
    return "TLS: the server does not speak TLS on this port";
  }
  return "TLS: " + LastError();
}

// The server's word on the client's certificate comes after the handshake, in TLS 1.3; some servers
// just end.
std::string RefusalOfClient(SSL* ssl, bool has_certificate) {
  char byte = 0;
  ERR_clear_error();
  if (SSL_read(ssl, &byte, 1) > 0) return "";
  const unsigned long error = ERR_peek_last_error();
  if (error == 0) return "";
  if (has_certificate) {
    return "TLS: the server does not accept the client certificate: " + LastError();
  }
  return ERR_GET_REASON(error) == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED
             ? "TLS: the server wants a client certificate (--tls-cert, --tls-key)"
             : "TLS: the server ends the connection; it may want a client certificate (--tls-cert, "
               "--tls-key)";
}

std::string TryTls(const Socket& socket, const TlsOptions& tls, const std::string& name) {
  ERR_clear_error();
  const Owned<SSL_CTX> context(SSL_CTX_new(TLS_client_method()));
  std::string problem;
  if (!Use(context.get(), tls, problem)) return problem;
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  const Owned<SSL> ssl(SSL_new(context.get()));
  ExpectName(ssl.get(), name);
  SSL_set_fd(ssl.get(), socket.fd());
  constexpr unsigned char kHttp2[] = "\x02h2";
  SSL_set_alpn_protos(ssl.get(), kHttp2, sizeof(kHttp2) - 1);
  if (SSL_connect(ssl.get()) != 1) return HandshakeProblem(ssl.get(), name);
  const unsigned char* protocol = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl.get(), &protocol, &size);
  if (size == 0) return "TLS: the server has no HTTP/2 on this port, so it is not that of gRPC";
  return RefusalOfClient(ssl.get(), !tls.certificate_pem.empty());
}

// HTTP/2 servers greet with their settings; a TLS server answers the client's greeting with an
// alert, or ends.
std::string TryPlain(const Socket& socket) {
  constexpr char kPreface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
  constexpr char kAlert = 0x15;
  if (::send(socket.fd(), kPreface, sizeof(kPreface) - 1, MSG_NOSIGNAL) < 0) return "";
  char byte = 0;
  const auto size = ::recv(socket.fd(), &byte, 1, 0);
  if (size == 0 || (size == 1 && byte == kAlert)) {
    return "the server ends connections without TLS (--tls, --tls-ca)";
  }
  return "";
}

}  // namespace

std::string DiagnoseConnection(const ClientOptions& options) {
  const Address address = Split(options.server);
  if (address.port.empty()) return "";
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &found);
  if (error != 0) return fmt::format("the host is not known: {}", gai_strerror(error));
  const Owned<addrinfo> list(found);
  std::string problem;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    const Socket socket(::socket(each->ai_family, each->ai_socktype | SOCK_CLOEXEC, 0));
    if (socket.fd() < 0) continue;
    problem = socket.Connect(*each);
    if (!problem.empty()) continue;
    const TlsOptions& tls = options.tls;
    if (!tls.enabled) return TryPlain(socket);
    return TryTls(socket, tls, tls.server_name.empty() ? address.host : tls.server_name);
  }
  return problem;
}

}  // namespace haq::client
