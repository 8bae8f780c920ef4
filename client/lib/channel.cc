#include "client/lib/channel.h"

namespace haq::client {
namespace {

// The server's answers carry reports and logits, not files.
constexpr int kMaxReceiveBytes = 64 << 20;

}  // namespace

std::shared_ptr<grpc::Channel> MakeChannel(const ClientOptions& options,
                                           grpc::ChannelArguments arguments) {
  arguments.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  // A server that restarts is back within a second; gRPC's own pauses grow to two minutes.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // A watch may be silent for minutes: without pings a connection that a firewall dropped would
  // look the same. Five minutes is the least that servers allow by default.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 5 * 60 * 1000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  return grpc::CreateCustomChannel(options.server, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace haq::client
