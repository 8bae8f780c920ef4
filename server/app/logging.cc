#include "server/app/logging.h"

#include <fmt/chrono.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "server/log/fields.h"

namespace haq::server::app {
namespace {

// A pattern cannot escape quotes and newlines, which messages quote from requests.
class JsonFormatter : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    const auto milliseconds =
        std::chrono::duration_cast<std::chrono::milliseconds>(message.time.time_since_epoch())
            .count();
    const std::string_view level(spdlog::level::to_string_view(message.level).data());
    nlohmann::ordered_json line;
    line["time"] = fmt::format("{:%FT%T}.{:03}Z",
                               fmt::gmtime(std::chrono::system_clock::to_time_t(message.time)),
                               milliseconds % 1000);
    line["level"] = level;
    line["message"] = std::string(message.payload.data(), message.payload.size());
    for (const auto& [name, value] : log::CurrentFields()) {
      if (!value.empty()) line[std::string(name)] = value;
    }
    const std::string text =
        line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    out.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<JsonFormatter>();
  }
};

// The pattern's line, and the fields as " name=value" before its end.
class TextFormatter : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    line_.format(message, out);
    if (log::CurrentFields().empty()) return;
    std::string fields;
    for (const auto& [name, value] : log::CurrentFields()) {
      if (!value.empty()) fields += fmt::format(" {}={}", name, value);
    }
    fields += '\n';
    out.resize(out.size() - 1);
    out.append(fields.data(), fields.data() + fields.size());
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<TextFormatter>();
  }

 private:
  spdlog::pattern_formatter line_{"%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v"};
};

}  // namespace

void StartLogging(const std::string& level, bool json) {
  const auto logger =
      std::make_shared<spdlog::logger>("haq", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_level(spdlog::level::from_str(level));
  if (json) {
    logger->set_formatter(std::make_unique<JsonFormatter>());
  } else {
    logger->set_formatter(std::make_unique<TextFormatter>());
  }
  spdlog::set_default_logger(logger);
}

}  // namespace haq::server::app
