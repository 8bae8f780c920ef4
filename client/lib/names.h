// Resource names: a user may write "resnet20" where the API says "models/resnet20".
#pragma once

#include <string>
#include <string_view>

namespace haq::client {

// `name` itself when it begins with "`collection`/", else "`collection`/`name`".
std::string FullName(std::string_view collection, std::string_view name);

// The last part: "resnet20" of "models/resnet20".
std::string ShortName(std::string_view name);

// A new id for a create request: 32 hexadecimal digits from the system's random numbers. A create
// that is repeated with the same id makes nothing twice.
std::string NewRequestId();

}  // namespace haq::client
