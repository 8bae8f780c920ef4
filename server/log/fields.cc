#include "server/log/fields.h"

#include <spdlog/spdlog.h>

namespace haq::server::log {
namespace {

thread_local std::span<const Field> current;

}  // namespace

void Write(spdlog::level::level_enum level, std::initializer_list<Field> fields,
           std::string_view message) {
  if (!spdlog::should_log(level)) return;
  // The sinks format on the thread that logs, before the call returns.
  current = {fields.begin(), fields.size()};
  spdlog::log(level, "{}", message);
  current = {};
}

std::span<const Field> CurrentFields() { return current; }

}  // namespace haq::server::log
