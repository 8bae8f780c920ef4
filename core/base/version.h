// The version of the project, one for all its programs.
#pragma once

#include <string_view>

namespace haq {

inline constexpr std::string_view kVersion = HAQ_VERSION;

}  // namespace haq
