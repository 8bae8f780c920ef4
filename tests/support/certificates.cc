#include "tests/support/certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdlib>

namespace haq::test {
namespace {

void Must(bool ok) {
  if (!ok) std::abort();
}

std::string Text(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_free(bio);
  return text;
}

std::string Pem(X509* certificate) {
  BIO* const bio = BIO_new(BIO_s_mem());
  Must(PEM_write_bio_X509(bio, certificate) == 1);
  return Text(bio);
}

std::string Pem(EVP_PKEY* key, const EVP_CIPHER* cipher = nullptr) {
  BIO* const bio = BIO_new(BIO_s_mem());
  const char password[] = "secret";
  Must(PEM_write_bio_PKCS8PrivateKey(bio, key, cipher, cipher ? password : nullptr,
                                     cipher ? sizeof(password) - 1 : 0, nullptr, nullptr) == 1);
  return Text(bio);
}

void AddExtension(X509* certificate, X509* issuer, int id, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, id, value);
  Must(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

X509* Begin(const std::string& name, EVP_PKEY* key, std::chrono::seconds valid_for) {
  static long serial = 0;
  X509* const certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -86'400);
  X509_gmtime_adj(X509_getm_notAfter(certificate), valid_for.count());
  X509_set_pubkey(certificate, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  return certificate;
}

}  // namespace

struct Authority::Impl {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = nullptr;
  std::string pem;
};

Authority::Authority(const std::string& name) : impl_(std::make_unique<Impl>()) {
  X509* const certificate = Begin(name, impl_->key, std::chrono::hours(24 * 365));
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  AddExtension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
  AddExtension(certificate, certificate, NID_subject_key_identifier, "hash");
  Must(X509_sign(certificate, impl_->key, EVP_sha256()) > 0);
  impl_->certificate = certificate;
  impl_->pem = Pem(certificate);
}

Authority::~Authority() {
  X509_free(impl_->certificate);
  EVP_PKEY_free(impl_->key);
}

const std::string& Authority::certificate_pem() const { return impl_->pem; }

Issued Authority::Issue(const std::string& name, std::chrono::seconds valid_for) const {
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  X509* const certificate = Begin(name, key, valid_for);
  X509_set_issuer_name(certificate, X509_get_subject_name(impl_->certificate));
  const std::string names = "DNS:" + name + ",DNS:localhost,IP:127.0.0.1";
  AddExtension(certificate, impl_->certificate, NID_subject_alt_name, names.c_str());
  Must(X509_sign(certificate, impl_->key, EVP_sha256()) > 0);
  const Issued issued{Pem(certificate), Pem(key)};
  X509_free(certificate);
  EVP_PKEY_free(key);
  return issued;
}

std::string Encrypt(const std::string& key_pem) {
  BIO* const bio = BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size()));
  EVP_PKEY* const key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  Must(key != nullptr);
  std::string encrypted = Pem(key, EVP_aes_256_cbc());
  EVP_PKEY_free(key);
  return encrypted;
}

}  // namespace haq::test
