// Certificates and keys for TLS: read and checked before anything uses them.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/status.h"

namespace haq::server::auth {

// PEM files. All empty: no TLS.
struct CertificateFiles {
  std::filesystem::path certificate;  // the server's, then those that issued it; --tls-cert
  std::filesystem::path key;          // --tls-key
  // Of those who issue clients' certificates; empty: clients need none. --tls-client-ca
  std::filesystem::path client_ca;

  bool enabled() const { return !certificate.empty(); }
  std::vector<std::filesystem::path> all() const;
};

// The files' contents: the certificates parse, the key is the first certificate's.
struct Certificates {
  std::string certificate_pem, key_pem, client_ca_pem;
  std::vector<std::string> warnings;  // expired, not valid yet, about to expire
};

// A certificate that ends within this time is worth a warning.
inline constexpr std::chrono::hours kExpiryWarning{14 * 24};

// Errors begin with the flag and name the file: kNotFound and so on for one that cannot be read,
// kInvalidArgument for one without a certificate or key in PEM, a key that is encrypted or another
// certificate's, and a flag that needs another one. `now` decides what has expired.
Result<Certificates> ReadCertificates(
    const CertificateFiles& files,
    std::chrono::system_clock::time_point now = std::chrono::system_clock::now());

// Those in use now. Thread-safe.
class CertificateStore {
 public:
  CertificateStore(CertificateFiles files, Certificates first);

  // Never null. A new pointer is a new set.
  std::shared_ptr<const Certificates> current() const;
  // Reads the files again; what cannot be used changes nothing.
  Status Reload();
  const CertificateFiles& files() const { return files_; }

 private:
  const CertificateFiles files_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Certificates> current_;  // guarded by mutex_
};

}  // namespace haq::server::auth
