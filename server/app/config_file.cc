#include "server/app/config_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <set>
#include <sstream>
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

namespace haq::server::app {
namespace {

[[noreturn]] void Fail(const toml::source_region& where, const std::string& what) {
  throw CLI::ConfigError(fmt::format("--config: line {}: {}", where.begin.line, what));
}

std::string TextOf(std::string_view key, const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* boolean = node.as_boolean()) return boolean->get() ? "true" : "false";
  Fail(node.source(), fmt::format("'{}' must be a string, a number, true or false", key));
}

class Reader {
 public:
  explicit Reader(const CLI::App& app) : app_(app) {}

  void Read(const toml::table& table, bool nested) {
    for (const auto& [key, node] : table) {
      const auto* const group = node.as_table();
      if (group != nullptr && !nested) {
        Read(*group, true);
      } else {
        Add(std::string(key.str()), node);
      }
    }
  }
  std::vector<CLI::ConfigItem> Take() { return std::move(items_); }

 private:
  void Add(const std::string& key, const toml::node& node) {
    const std::string flag = "--" + key;
    const bool known = app_.get_option_no_throw(flag) != nullptr && key != "config" &&
                       key != "check-config" && key != "help" && key != "version";
    if (!known) {
      Fail(node.source(),
           fmt::format("'{}' is no setting; --help lists the flags, and the keys are "
                       "their names without the dashes",
                       key));
    }
    if (!seen_.insert(key).second) Fail(node.source(), fmt::format("'{}' comes twice", key));
    const std::string value = TextOf(key, node);
    if (std::getenv(VariableOf(flag).c_str()) != nullptr) return;
    CLI::ConfigItem item;
    item.name = key;
    item.inputs = {value};
    items_.push_back(std::move(item));
  }

  const CLI::App& app_;
  std::set<std::string> seen_;
  std::vector<CLI::ConfigItem> items_;
};

}  // namespace

std::string VariableOf(std::string flag) {
  std::replace(flag.begin(), flag.end(), '-', '_');
  std::transform(flag.begin(), flag.end(), flag.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return "HAQ" + flag.substr(1);
}

std::vector<CLI::ConfigItem> TomlConfig::from_config(std::istream& input) const {
  std::ostringstream text;
  text << input.rdbuf();
  Reader reader(app_);
  try {
    reader.Read(toml::parse(text.str()), false);
  } catch (const toml::parse_error& error) {
    Fail(error.source(), std::string(error.description()));
  }
  return reader.Take();
}

}  // namespace haq::server::app
