// The connection to the server, for the sources of client/lib only.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>

#include "client/lib/client.h"

namespace haq::client {

// With the client's limits, reconnection and keepalive. Channels of the same server share one
// connection, unless `arguments` say otherwise.
std::shared_ptr<grpc::Channel> MakeChannel(const ClientOptions& options,
                                           grpc::ChannelArguments arguments = {});

}  // namespace haq::client
