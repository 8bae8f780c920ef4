// The one table from StatusCode to HTTP.
#pragma once

#include "core/base/status.h"

namespace haq::server::http {

int HttpStatusOf(StatusCode code);

}  // namespace haq::server::http
