#include "server/auth/certificates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/certificates.h"

namespace haq::server::auth {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CertificatesTest : public ::testing::Test {
 protected:
  CertificatesTest() {
    std::string path = (std::filesystem::temp_directory_path() / "haq-tls-XXXXXX").string();
    folder_ = ::mkdtemp(path.data());
    const test::Issued issued = authority_.Issue("server");
    files_.certificate = Write("cert.pem", issued.certificate_pem);
    files_.key = Write("key.pem", issued.key_pem);
  }
  ~CertificatesTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }
  void ExpectFailure(StatusCode code, const std::string& flag, const std::string& what) {
    const auto read = ReadCertificates(files_);
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.status().code(), code) << read.status().ToString();
    EXPECT_THAT(read.status().message(),
                AllOf(::testing::StartsWith(flag + ": "), HasSubstr(what)));
  }

  std::filesystem::path folder_;
  test::Authority authority_;
  CertificateFiles files_;
};

TEST_F(CertificatesTest, ReadsWhatBelongsTogether) {
  files_.client_ca = Write("ca.pem", authority_.certificate_pem());
  const auto read = ReadCertificates(files_);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_THAT(read->certificate_pem, HasSubstr("BEGIN CERTIFICATE"));
  EXPECT_THAT(read->key_pem, HasSubstr("PRIVATE KEY"));
  EXPECT_EQ(read->client_ca_pem, authority_.certificate_pem());
  EXPECT_THAT(read->warnings, IsEmpty());
  EXPECT_FALSE(CertificateFiles().enabled());
  EXPECT_TRUE(ReadCertificates({}).ok());
}

TEST_F(CertificatesTest, OneFlagNeedsTheOther) {
  files_.key.clear();
  ExpectFailure(StatusCode::kInvalidArgument, "--tls-cert", "needs --tls-key");
  files_ = {.certificate = {}, .key = folder_ / "key.pem", .client_ca = {}};
  ExpectFailure(StatusCode::kInvalidArgument, "--tls-key", "needs --tls-cert");
  files_ = {.certificate = {}, .key = {}, .client_ca = folder_ / "key.pem"};
  ExpectFailure(StatusCode::kInvalidArgument, "--tls-client-ca", "needs --tls-cert");
}

TEST_F(CertificatesTest, FilesThatAreMissingOrSomethingElse) {
  files_.client_ca = folder_ / "absent.pem";
  ExpectFailure(StatusCode::kNotFound, "--tls-client-ca", "absent.pem");
  files_.client_ca = Write("text.pem", "hello");
  ExpectFailure(StatusCode::kInvalidArgument, "--tls-client-ca", "no certificate in it");
  files_.client_ca =
      Write("cut.pem", authority_.certificate_pem() + authority_.certificate_pem().substr(0, 200));
  ExpectFailure(StatusCode::kInvalidArgument, "--tls-client-ca", "damaged after certificate 1");
  std::swap(files_.certificate, files_.key);
  ExpectFailure(StatusCode::kInvalidArgument, "--tls-cert", "no certificate in it");
  files_.certificate = folder_ / "cert.pem";
  ExpectFailure(StatusCode::kInvalidArgument, "--tls-key", "no private key in it");
}

TEST_F(CertificatesTest, KeysOfOthersAndKeysWithPasswords) {
  files_.key = Write("other.pem", authority_.Issue("server").key_pem);
  ExpectFailure(StatusCode::kInvalidArgument, "--tls-key", "does not belong to the first");
  files_.key = Write("encrypted.pem", test::Encrypt(authority_.Issue("server").key_pem));
  ExpectFailure(StatusCode::kInvalidArgument, "--tls-key", "is encrypted");
}

TEST_F(CertificatesTest, ValidityIsAWarning) {
  const auto now = std::chrono::system_clock::now();
  const auto warnings = [&](std::chrono::hours from_now) {
    return ReadCertificates(files_, now + from_now).value().warnings;
  };
  EXPECT_THAT(warnings(std::chrono::hours(24 * 366)), ElementsAre(HasSubstr("expired on 20")));
  EXPECT_THAT(warnings(std::chrono::hours(24 * 360)), ElementsAre(HasSubstr("expires on 20")));
  EXPECT_THAT(warnings(-std::chrono::hours(48)), ElementsAre(HasSubstr("is not valid before 20")));
}

TEST_F(CertificatesTest, ReloadTakesANewPairAndKeepsTheOldOneOtherwise) {
  CertificateStore store(files_, ReadCertificates(files_).value());
  const auto first = store.current();
  const test::Issued next = authority_.Issue("server");
  Write("cert.pem", next.certificate_pem);
  EXPECT_EQ(store.Reload().code(), StatusCode::kInvalidArgument) << "the key is still the old one";
  EXPECT_EQ(store.current(), first);
  Write("key.pem", next.key_pem);
  EXPECT_TRUE(store.Reload().ok());
  EXPECT_EQ(store.current()->certificate_pem, next.certificate_pem);
}

}  // namespace
}  // namespace haq::server::auth
