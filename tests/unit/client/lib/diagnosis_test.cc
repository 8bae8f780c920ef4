#include "client/lib/diagnosis.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "tests/support/certificates.h"
#include "tests/unit/client/lib/fake_server.h"

namespace haq::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class DiagnosisTest : public ::testing::Test {
 protected:
  DiagnosisTest() {
    options_.retry_ms = 0;
    options_.timeout_ms = 5000;
  }

  void Start(std::chrono::seconds valid_for = std::chrono::hours(24), bool mutual = false) {
    const test::Issued issued = authority_.Issue("server", valid_for);
    grpc::SslServerCredentialsOptions tls(
        mutual ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
               : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
    tls.pem_root_certs = authority_.certificate_pem();
    tls.pem_key_cert_pairs = {{issued.key_pem, issued.certificate_pem}};
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(tls), &port);
    builder.RegisterService(&jobs_);
    server_ = builder.BuildAndStart();
    options_.server = "127.0.0.1:" + std::to_string(port);
    options_.tls = {};
    options_.tls.enabled = true;
    options_.tls.ca_pem = authority_.certificate_pem();
  }
  Status Ask() const { return Client(options_).ListJobs(v1::JOB_STATE_UNSPECIFIED).status(); }
  void ExpectFailure(const std::string& what) const {
    const Status status = Ask();
    EXPECT_EQ(status.code(), StatusCode::kUnavailable);
    EXPECT_THAT(status.message(), AllOf(HasSubstr(options_.server), HasSubstr(what)));
  }

  test::Authority authority_;
  FakeJobs jobs_;
  ClientOptions options_;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(DiagnosisTest, WhatIsTrustedIsAsked) {
  Start();
  EXPECT_TRUE(Ask().ok()) << Ask().ToString();
  EXPECT_EQ(DiagnoseConnection(options_), "");
  options_.tls.server_name = "server";
  EXPECT_TRUE(Ask().ok()) << Ask().ToString();
}

TEST_F(DiagnosisTest, CertificatesThatAreNotAccepted) {
  Start();
  options_.tls.server_name = "other.example";
  ExpectFailure("not for other.example");
  options_.tls.server_name = "";
  options_.tls.ca_pem = test::Authority("other").certificate_pem();
  ExpectFailure("(--tls-ca)");
  Start(-std::chrono::hours(1));
  ExpectFailure("is not accepted: certificate has expired");
}

TEST_F(DiagnosisTest, MutualTls) {
  Start(std::chrono::hours(24), true);
  ExpectFailure("want");
  const test::Issued stranger = test::Authority("other").Issue("client");
  options_.tls.certificate_pem = stranger.certificate_pem;
  options_.tls.key_pem = stranger.key_pem;
  ExpectFailure("does not accept the client certificate");
  const test::Issued known = authority_.Issue("client");
  options_.tls.certificate_pem = known.certificate_pem;
  options_.tls.key_pem = known.key_pem;
  EXPECT_TRUE(Ask().ok()) << Ask().ToString();
}

TEST_F(DiagnosisTest, OneSideHasNoTls) {
  Start();
  options_.tls.enabled = false;
  ExpectFailure("ends connections without TLS (--tls");
  FakeServer plain;
  options_.server = plain.address();
  EXPECT_EQ(DiagnoseConnection(options_), "");
  options_.tls.enabled = true;
  ExpectFailure("does not speak TLS");
}

TEST_F(DiagnosisTest, NobodyIsThere) {
  for (const bool tls : {false, true}) {
    options_.tls.enabled = tls;
    options_.server = "127.0.0.1:1";
    ExpectFailure("nothing listens there");
  }
  options_.server = "unix:/nowhere";
  EXPECT_EQ(DiagnoseConnection(options_), "");
}

}  // namespace
}  // namespace haq::client
