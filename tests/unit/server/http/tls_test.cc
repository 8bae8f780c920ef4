#include "server/http/tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "server/http/server.h"
#include "tests/support/certificates.h"

namespace haq::server::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using ::testing::HasSubstr;

// A client that trusts one authority.
class TlsClient {
 public:
  TlsClient(uint16_t port, const std::string& ca_pem, const test::Issued* own = nullptr,
            int max_version = TLS1_3_VERSION)
      : context_(asio::ssl::context::tls_client), stream_(io_, Prepare(ca_pem, own, max_version)) {
    stream_.set_verify_mode(asio::ssl::verify_peer);
    stream_.set_verify_callback(asio::ssl::host_name_verification("localhost"));
    stream_.next_layer().connect({asio::ip::make_address("127.0.0.1"), port});
    stream_.handshake(asio::ssl::stream_base::client, error_);
  }
  error_code handshake_error() const { return error_; }
  std::string Exchange(const std::string& request) {
    Send(request);
    std::string text;
    error_code error;
    asio::read(stream_, asio::dynamic_buffer(text), error);
    return text;
  }
  void Send(const std::string& request) {
    error_code error;
    asio::write(stream_, asio::buffer(request), error);
  }
  void Shutdown() {
    error_code ignored;
    SSL_shutdown(stream_.native_handle());
    stream_.next_layer().close(ignored);
  }

 private:
  asio::ssl::context& Prepare(const std::string& ca_pem, const test::Issued* own, int max_version) {
    context_.add_certificate_authority(asio::buffer(ca_pem));
    SSL_CTX_set_min_proto_version(context_.native_handle(), TLS1_VERSION);
    SSL_CTX_set_security_level(context_.native_handle(), 0);
    SSL_CTX_set_max_proto_version(context_.native_handle(), max_version);
    if (own != nullptr) {
      context_.use_certificate_chain(asio::buffer(own->certificate_pem));
      context_.use_private_key(asio::buffer(own->key_pem), asio::ssl::context::pem);
    }
    return context_;
  }

  asio::io_context io_;
  asio::ssl::context context_;
  asio::ssl::stream<tcp::socket> stream_;
  error_code error_;
};

constexpr char kGet[] = "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

class TlsTest : public ::testing::Test {
 protected:
  TlsTest() {
    std::string path = (std::filesystem::temp_directory_path() / "haq-https-XXXXXX").string();
    folder_ = ::mkdtemp(path.data());
    Write(authority_.Issue("server"));
  }
  ~TlsTest() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }

  void Write(const test::Issued& issued) {
    std::ofstream(folder_ / "cert.pem") << issued.certificate_pem;
    std::ofstream(folder_ / "key.pem") << issued.key_pem;
    std::ofstream(folder_ / "ca.pem") << authority_.certificate_pem();
  }
  void Start(bool mutual = false, Options options = {}) {
    const auth::CertificateFiles files{folder_ / "cert.pem", folder_ / "key.pem",
                                       mutual ? folder_ / "ca.pem" : std::filesystem::path()};
    store_ = std::make_shared<auth::CertificateStore>(files, auth::ReadCertificates(files).value());
    options.certificates = store_;
    Router router;
    router.Add(Method::kGet, "/hello",
               [](const Request&, const Respond& respond) { respond({.body = "hello"}); });
    router.Add(Method::kPost, "/echo", [](const Request& request, const Respond& respond) {
      respond({.body = request.body});
    });
    router.Add(Method::kPost, "/abort", [this](const Request& request, const Respond& respond) {
      request.on_abort([this] { ++aborted_; });
      const std::lock_guard lock(mutex_);
      held_.push_back(respond);
    });
    auto server = Server::Start(options, std::move(router));
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    server_ = *std::move(server);
  }
  size_t Held() {
    const std::lock_guard lock(mutex_);
    return held_.size();
  }
  template <typename Condition>
  static bool Becomes(Condition condition) {
    for (int i = 0; i < 1000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(milliseconds(5));
    }
    return false;
  }
  // Connects without TLS, says `bytes` and returns what comes until the server ends.
  std::string Plain(const std::string& bytes) {
    asio::io_context io;
    tcp::socket socket(io);
    socket.connect({asio::ip::make_address("127.0.0.1"), server_->port()});
    asio::write(socket, asio::buffer(bytes));
    std::string text;
    error_code error;
    asio::read(socket, asio::dynamic_buffer(text), error);
    return text;
  }

  test::Authority authority_;
  std::filesystem::path folder_;
  std::shared_ptr<auth::CertificateStore> store_;
  std::mutex mutex_;
  std::vector<Respond> held_;
  std::atomic<int> aborted_ = 0;
  std::unique_ptr<Server> server_;
};

TEST_F(TlsTest, AnswersOverTls) {
  Start();
  TlsClient client(server_->port(), authority_.certificate_pem());
  ASSERT_FALSE(client.handshake_error()) << client.handshake_error().message();
  EXPECT_THAT(client.Exchange(kGet), ::testing::EndsWith("\r\n\r\nhello"));
  const std::string large(3 << 20, 'x');
  Options options;
  options.max_body_bytes = 4 << 20;
  Start(false, options);
  TlsClient other(server_->port(), authority_.certificate_pem());
  const std::string answer = other.Exchange(
      fmt::format("POST /echo HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{}",
                  large.size(), large));
  EXPECT_THAT(answer, ::testing::EndsWith(large));
}

TEST_F(TlsTest, NothingButTlsIsAnswered) {
  Start();
  EXPECT_THAT(Plain(kGet), ::testing::Not(HasSubstr("hello")));
  TlsClient old(server_->port(), authority_.certificate_pem(), nullptr, TLS1_1_VERSION);
  EXPECT_TRUE(old.handshake_error());
  TlsClient wrong(server_->port(), test::Authority("other").certificate_pem());
  EXPECT_TRUE(wrong.handshake_error());
  TlsClient client(server_->port(), authority_.certificate_pem(), nullptr, TLS1_2_VERSION);
  EXPECT_THAT(client.Exchange(kGet), HasSubstr("hello"));
}

TEST_F(TlsTest, AHandshakeThatDoesNotComeIsCutAndTookAPlace) {
  Options options;
  options.header_timeout = milliseconds(300);
  options.max_connections = 1;
  Start(false, options);
  std::thread silent([this] {
    const auto start = steady_clock::now();
    EXPECT_EQ(Plain("\x16\x03\x01"), "");
    EXPECT_GE(steady_clock::now() - start, milliseconds(250));
  });
  EXPECT_TRUE(Becomes([&] {
    return TlsClient(server_->port(), authority_.certificate_pem()).handshake_error().failed();
  })) << "the only place was taken";
  silent.join();
  EXPECT_TRUE(Becomes(
      [&] { return !TlsClient(server_->port(), authority_.certificate_pem()).handshake_error(); }));
}

TEST_F(TlsTest, MutualTlsWantsACertificateOfItsAuthority) {
  Start(true);
  const std::string& ca = authority_.certificate_pem();
  EXPECT_THAT(TlsClient(server_->port(), ca).Exchange(kGet), ::testing::Not(HasSubstr("hello")));
  const test::Issued stranger = test::Authority("other").Issue("client");
  EXPECT_THAT(TlsClient(server_->port(), ca, &stranger).Exchange(kGet),
              ::testing::Not(HasSubstr("hello")));
  const test::Issued known = authority_.Issue("client");
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(TlsClient(server_->port(), ca, &known).Exchange(kGet), HasSubstr("hello"));
  }
}

TEST_F(TlsTest, NewConnectionsGetTheNewCertificate) {
  Start();
  const test::Authority next("next");
  Write(next.Issue("server"));
  ASSERT_TRUE(store_->Reload().ok());
  EXPECT_THAT(TlsClient(server_->port(), next.certificate_pem()).Exchange(kGet),
              HasSubstr("hello"));
  EXPECT_TRUE(TlsClient(server_->port(), authority_.certificate_pem()).handshake_error());
}

TEST_F(TlsTest, AHandlerLearnsThatItsClientWentAway) {
  Start();
  {
    TlsClient client(server_->port(), authority_.certificate_pem());
    client.Send("POST /abort HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
    EXPECT_TRUE(Becomes([&] { return Held() == 1; }));
    EXPECT_EQ(aborted_, 0);
    client.Shutdown();
  }
  EXPECT_TRUE(Becomes([&] { return aborted_ == 1; }));
}

}  // namespace
}  // namespace haq::server::http
