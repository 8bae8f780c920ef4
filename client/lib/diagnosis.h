// Why a server cannot be reached. gRPC 1.51 says the same of a port that nobody listens on and of a
// certificate that is not trusted.
#pragma once

#include <string>

#include "client/lib/client.h"

namespace haq::client {

// Connects once more, without gRPC, and says what fails and what helps; "" when nothing does, or
// for an address that is no HOST:PORT. Takes at most some seconds.
std::string DiagnoseConnection(const ClientOptions& options);

}  // namespace haq::client
