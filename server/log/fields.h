// Log lines with fields beside their message, so that they can be found by job, model or request.
// docs/settings.md lists the fields.
#pragma once

#include <spdlog/common.h>

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace haq::server::log {

struct Field {
  std::string_view name;
  std::string value;
};

// A line of spdlog's default logger; the value of a field that is empty is left out.
void Write(spdlog::level::level_enum level, std::initializer_list<Field> fields,
           std::string_view message);

// Those of the line that is being written on this thread; for formatters.
std::span<const Field> CurrentFields();

}  // namespace haq::server::log
