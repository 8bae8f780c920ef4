#include "server/auth/certificates.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cstring>
#include <utility>

#include "core/base/file.h"

namespace haq::server::auth {
namespace {

// Far more than any chain or bundle of authorities has.
constexpr uint64_t kMaxFileBytes = 4 << 20;

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Bio = std::unique_ptr<BIO, Free>;
using Certificate = std::unique_ptr<X509, Free>;
using Key = std::unique_ptr<EVP_PKEY, Free>;

Bio Open(const std::string& pem) {
  return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

Result<std::string> ReadPem(const char* flag, const std::filesystem::path& path) {
  auto text = ReadTextFile(path, kMaxFileBytes);
  if (!text.ok()) return text.status().WithContext(flag);
  return text;
}

Result<std::vector<Certificate>> ParseCertificates(const char* flag,
                                                   const std::filesystem::path& path,
                                                   const std::string& pem) {
  std::vector<Certificate> certificates;
  const Bio bio = Open(pem);
  ERR_clear_error();
  while (X509* const certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(certificate);
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (certificates.empty() || !at_end) {
    return InvalidArgument("{}: {}: {}; it must have certificates in PEM", flag, path.string(),
                           certificates.empty()
                               ? "no certificate in it"
                               : fmt::format("damaged after certificate {}", certificates.size()));
  }
  return certificates;
}

// OpenSSL would ask the terminal for the password.
int NoPassword(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

Result<Key> ParseKey(const std::filesystem::path& path, const std::string& pem) {
  const Bio bio = Open(pem);
  bool encrypted = false;
  ERR_clear_error();
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, &NoPassword, &encrypted));
  ERR_clear_error();
  if (encrypted) {
    return InvalidArgument(
        "--tls-key: {}: the key is encrypted, and nobody is there to give a password; it must be "
        "a PEM key without one, in a file that only this user can read",
        path.string());
  }
  if (!key) {
    return InvalidArgument("--tls-key: {}: no private key in it; it must have one in PEM",
                           path.string());
  }
  return key;
}

std::string DayOf(const ASN1_TIME* time) {
  tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "an unreadable time";
  char text[64];
  std::strftime(text, sizeof(text), "%F %T UTC", &parts);
  return text;
}

std::string ValidityWarning(const char* flag, const std::filesystem::path& path, X509* certificate,
                            std::chrono::system_clock::time_point now) {
  time_t seconds = std::chrono::system_clock::to_time_t(now);
  const ASN1_TIME* const begin = X509_get0_notBefore(certificate);
  const ASN1_TIME* const end = X509_get0_notAfter(certificate);
  const auto say = [&](const char* what, const ASN1_TIME* when) {
    return fmt::format("{}: {}: the certificate {} {}", flag, path.string(), what, DayOf(when));
  };
  if (X509_cmp_time(begin, &seconds) > 0) return say("is not valid before", begin);
  if (X509_cmp_time(end, &seconds) < 0) return say("expired on", end);
  seconds = std::chrono::system_clock::to_time_t(now + kExpiryWarning);
  if (X509_cmp_time(end, &seconds) < 0) return say("expires on", end);
  return "";
}

Status CheckTogether(const CertificateFiles& files) {
  if (files.certificate.empty() && !files.key.empty()) {
    return InvalidArgument("--tls-key: needs --tls-cert");
  }
  if (files.certificate.empty() && !files.client_ca.empty()) {
    return InvalidArgument("--tls-client-ca: needs --tls-cert and --tls-key");
  }
  if (!files.certificate.empty() && files.key.empty()) {
    return InvalidArgument("--tls-cert: needs --tls-key");
  }
  return {};
}

}  // namespace

std::vector<std::filesystem::path> CertificateFiles::all() const {
  std::vector<std::filesystem::path> paths;
  for (const auto& path : {certificate, key, client_ca}) {
    if (!path.empty()) paths.push_back(path);
  }
  return paths;
}

Result<Certificates> ReadCertificates(const CertificateFiles& files,
                                      std::chrono::system_clock::time_point now) {
  HAQ_RETURN_IF_ERROR(CheckTogether(files));
  Certificates read;
  if (!files.enabled()) return read;
  const auto warn = [&](const char* flag, const std::filesystem::path& path, X509* certificate) {
    std::string warning = ValidityWarning(flag, path, certificate, now);
    if (!warning.empty()) read.warnings.push_back(std::move(warning));
  };
  HAQ_ASSIGN_OR_RETURN(read.certificate_pem, ReadPem("--tls-cert", files.certificate));
  HAQ_ASSIGN_OR_RETURN(const auto chain,
                       ParseCertificates("--tls-cert", files.certificate, read.certificate_pem));
  for (const Certificate& each : chain) warn("--tls-cert", files.certificate, each.get());
  HAQ_ASSIGN_OR_RETURN(read.key_pem, ReadPem("--tls-key", files.key));
  HAQ_ASSIGN_OR_RETURN(const Key key, ParseKey(files.key, read.key_pem));
  if (X509_check_private_key(chain.front().get(), key.get()) != 1) {
    ERR_clear_error();
    return InvalidArgument("--tls-key: {}: the key does not belong to the first certificate of {}",
                           files.key.string(), files.certificate.string());
  }
  if (files.client_ca.empty()) return read;
  HAQ_ASSIGN_OR_RETURN(read.client_ca_pem, ReadPem("--tls-client-ca", files.client_ca));
  HAQ_ASSIGN_OR_RETURN(const auto authorities,
                       ParseCertificates("--tls-client-ca", files.client_ca, read.client_ca_pem));
  for (const Certificate& each : authorities) warn("--tls-client-ca", files.client_ca, each.get());
  return read;
}

CertificateStore::CertificateStore(CertificateFiles files, Certificates first)
    : files_(std::move(files)), current_(std::make_shared<const Certificates>(std::move(first))) {}

std::shared_ptr<const Certificates> CertificateStore::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

Status CertificateStore::Reload() {
  HAQ_ASSIGN_OR_RETURN(Certificates read, ReadCertificates(files_));
  auto next = std::make_shared<const Certificates>(std::move(read));
  const std::lock_guard lock(mutex_);
  current_ = std::move(next);
  return {};
}

}  // namespace haq::server::auth
