// The command line `haq`: what all its commands share.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "client/cli/connection.h"
#include "client/lib/client.h"
#include "core/base/status.h"

namespace haq::client {

// The options of the run and where it prints. Results go to `out`; progress, hints and errors to
// `err`.
class App {
 public:
  // What a chosen command does; its value is the exit code, its failure becomes one by ExitCodeOf.
  using Action = std::function<Result<int>()>;

  App(std::FILE* out, std::FILE* err);

  // Adds a command with its examples in the help, the options that every command takes, and what it
  // does. `examples` are lines of the form "haq ...".
  CLI::App* AddCommand(CLI::App* parent, const std::string& name, const std::string& description,
                       std::string_view examples, Action action);
  // A group of commands, such as `haq models`.
  static CLI::App* AddGroup(CLI::App* parent, const std::string& name,
                            const std::string& description);
  // Those of ConnectionFlags, --json, --timeout.
  void AddCommonOptions(CLI::App* command);

  // For actions.
  Client& client() { return *client_; }
  bool json() const { return json_; }
  std::FILE* err() const { return err_; }
  // null when the output is for a program: no progress then.
  std::FILE* progress_stream() const { return json_ ? nullptr : err_; }

  void Print(std::string_view text) const;                           // to out, as it is
  void PrintJson(const nlohmann::ordered_json& document) const;      // indented, one document
  void PrintJsonLine(const nlohmann::ordered_json& document) const;  // one line, at once
  void Hint(std::string_view line) const;                            // to err, not with --json

  // Runs the chosen command and returns the program's exit code.
  int Run();

 private:
  std::FILE* out_;
  std::FILE* err_;
  Status Connect();

  ConnectionFlags connection_flags_;
  double timeout_s_ = 60;
  bool json_ = false;
  Action action_;
  std::unique_ptr<Client> client_;
};

// Accepts numbers from `least` to `most`; the message names both.
CLI::Validator NumberFrom(double least, double most);

// Each adds one group of commands.
void AddModelCommands(CLI::App* root, App* app);
void AddDatasetCommands(CLI::App* root, App* app);
void AddJobCommands(CLI::App* root, App* app);  // and calibrate
void AddTableCommand(CLI::App* root, App* app);
void AddInferCommand(CLI::App* root, App* app);
void AddBenchServeCommand(CLI::App* root, App* app);
void AddArtifactCommands(CLI::App* root, App* app);
void AddStatusCommands(CLI::App* root, App* app);  // status, version

// The whole program.
int Main(int argc, const char* const* argv, std::FILE* out, std::FILE* err);

}  // namespace haq::client
