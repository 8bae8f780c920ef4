// The configuration file: TOML whose keys are the flags without their dashes.
#pragma once

#include <CLI/CLI.hpp>
#include <istream>
#include <string>
#include <vector>

namespace haq::server::app {

// "--max-batch" -> "HAQ_MAX_BATCH": every flag has its variable.
std::string VariableOf(std::string flag);

// What the command line parser asks for the file's values. It leaves out those whose environment
// variable is set, so that a flag wins over its variable, and that over the file.
class TomlConfig : public CLI::ConfigTOML {
 public:
  // `app` has all flags by the time a file is read, and outlives this.
  explicit TomlConfig(const CLI::App& app) : app_(app) {}

  // Throws CLI::ConfigError that names line and key: for text that is no TOML, keys that are no
  // flag or come twice, and values that are no string, number or boolean. Tables only group: their
  // names are free, and tables in tables are not allowed.
  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override;

 private:
  const CLI::App& app_;
};

}  // namespace haq::server::app
