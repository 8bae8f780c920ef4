#include "client/lib/channel.h"

#include <grpc/support/log.h>
#include <grpcpp/support/client_interceptor.h>

#include <cstdlib>
#include <mutex>
#include <utility>
#include <vector>

namespace haq::client {
namespace {

namespace experimental = grpc::experimental;

// The server's answers carry reports and logits, not files.
constexpr int kMaxReceiveBytes = 64 << 20;

// What goes wrong is in the status of a call; gRPC would write it to stderr too, in its own words.
void SilenceGrpc() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (std::getenv("GRPC_VERBOSITY") == nullptr) gpr_set_log_function([](gpr_log_func_args*) {});
  });
}

std::shared_ptr<grpc::ChannelCredentials> Credentials(const TlsOptions& tls) {
  if (!tls.enabled) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = tls.ca_pem;
  options.pem_cert_chain = tls.certificate_pem;
  options.pem_private_key = tls.key_pem;
  return grpc::SslCredentials(options);
}

// Adds the token to a call. gRPC's own call credentials refuse to work without TLS, which a server
// on the same machine does not need.
class TokenSender : public experimental::Interceptor {
 public:
  explicit TokenSender(const std::string& value) : value_(value) {}

  void Intercept(experimental::InterceptorBatchMethods* batch) override {
    if (batch->QueryInterceptionHookPoint(
            experimental::InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      batch->GetSendInitialMetadata()->emplace("authorization", value_);
    }
    batch->Proceed();
  }

 private:
  const std::string& value_;
};

class TokenSenders : public experimental::ClientInterceptorFactoryInterface {
 public:
  explicit TokenSenders(const std::string& token) : value_("Bearer " + token) {}

  experimental::Interceptor* CreateClientInterceptor(experimental::ClientRpcInfo*) override {
    return new TokenSender(value_);
  }

 private:
  const std::string value_;
};

}  // namespace

std::shared_ptr<grpc::Channel> MakeChannel(const ClientOptions& options,
                                           grpc::ChannelArguments arguments) {
  SilenceGrpc();
  arguments.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  // A server that restarts is back within a second; gRPC's own pauses grow to two minutes.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // A watch may be silent for minutes: without pings a connection that a firewall dropped would
  // look the same. Five minutes is the least that servers allow by default.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 5 * 60 * 1000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  if (options.tls.enabled && !options.tls.server_name.empty()) {
    arguments.SetSslTargetNameOverride(options.tls.server_name);
  }
  std::vector<std::unique_ptr<experimental::ClientInterceptorFactoryInterface>> interceptors;
  if (!options.token.empty()) interceptors.push_back(std::make_unique<TokenSenders>(options.token));
  return experimental::CreateCustomChannelWithInterceptors(options.server, Credentials(options.tls),
                                                           arguments, std::move(interceptors));
}

}  // namespace haq::client
