#include <utility>

#include "client/lib/infer_channels.h"
#include "client/load/transport.h"

namespace haq::client::load {
namespace {

class GrpcTransport : public Transport {
 public:
  explicit GrpcTransport(std::unique_ptr<InferChannels> channels)
      : channels_(std::move(channels)) {}

  int connections() const override { return channels_->connections(); }
  void Send(int connection, int request, Done done) override {
    channels_->Send(connection, request, std::move(done));
  }

 private:
  std::unique_ptr<InferChannels> channels_;
};

}  // namespace

Result<std::unique_ptr<Transport>> ConnectGrpc(
    const ClientOptions& client, const TransportOptions& options,
    const std::vector<inference::ModelInferRequest>& requests) {
  HAQ_ASSIGN_OR_RETURN(auto channels, InferChannels::Connect(client, options.connections,
                                                             options.threads, requests));
  return std::unique_ptr<Transport>(std::make_unique<GrpcTransport>(std::move(channels)));
}

}  // namespace haq::client::load
