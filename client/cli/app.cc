#include "client/cli/app.h"

#include <fmt/format.h>

#include <exception>
#include <sstream>
#include <utility>

#include "client/cli/json.h"
#include "core/base/exit_code.h"
#include "core/base/json_text.h"
#include "core/base/version.h"

namespace haq::client {
namespace {

// UTF-8 that is broken (a file name, say) is printed with a replacement character.
constexpr auto kReplace = nlohmann::ordered_json::error_handler_t::replace;

std::string Footer(std::string_view examples) {
  std::string text = "Examples:\n";
  std::istringstream lines{std::string(examples)};
  for (std::string line; std::getline(lines, line);) text += "  " + line + "\n";
  return text + "\n" + std::string(ExitCodeHelp());
}

}  // namespace

CLI::Validator NumberFrom(double least, double most) {
  // CLI11's own validators print their bounds with every digit of a double, also into the help.
  return CLI::Validator(
      [least, most](std::string& text) {
        double value = 0;
        if (CLI::detail::lexical_cast(text, value) && value >= least && value <= most)
          return std::string();
        return fmt::format("{} is not a number from {} to {}", text, least, most);
      },
      "");
}

App::App(std::FILE* out, std::FILE* err) : out_(out), err_(err) {}

CLI::App* App::AddGroup(CLI::App* parent, const std::string& name, const std::string& description) {
  CLI::App* group = parent->add_subcommand(name, description);
  group->require_subcommand(1);
  group->footer(std::string(ExitCodeHelp()));
  return group;
}

void App::AddCommonOptions(CLI::App* command) {
  connection_flags_.AddTo(command);
  command
      ->add_option("--timeout", timeout_s_,
                   "Seconds that one call may take, 0 for no end (default 60); transfers and "
                   "watching have no end")
      ->check(NumberFrom(0, 1e6))
      ->type_name("SECONDS")
      ->group("Common options");
  command->add_flag("--json", json_, "Print JSON on stdout; errors as JSON on stderr")
      ->group("Common options");
}

CLI::App* App::AddCommand(CLI::App* parent, const std::string& name, const std::string& description,
                          std::string_view examples, Action action) {
  CLI::App* command = parent->add_subcommand(name, description);
  command->footer(Footer(examples));
  AddCommonOptions(command);
  command->callback([this, action = std::move(action)] { action_ = action; });
  return command;
}

// Nothing is sent before the first call.
Status App::Connect() {
  HAQ_ASSIGN_OR_RETURN(Connection connection, connection_flags_.Resolve());
  for (const std::string& warning : connection.warnings) Hint("haq: warning: " + warning);
  connection.options.timeout_ms = static_cast<int64_t>(timeout_s_ * 1000);
  client_ = std::make_unique<Client>(std::move(connection.options));
  return {};
}

void App::Print(std::string_view text) const { std::fwrite(text.data(), 1, text.size(), out_); }

void App::PrintJson(const nlohmann::ordered_json& document) const {
  Print(JsonText(document) + "\n");
}

void App::PrintJsonLine(const nlohmann::ordered_json& document) const {
  Print(document.dump(-1, ' ', false, kReplace) + "\n");
  std::fflush(out_);
}

void App::Hint(std::string_view line) const {
  if (!json_) fmt::print(err_, "{}\n", line);
}

int App::Run() {
  const Status connected = Connect();
  const Result<int> result = !connected.ok() ? Result<int>(connected)
                             : action_       ? action_()
                                             : Result<int>(kExitOk);
  std::fflush(out_);
  if (result.ok()) return *result;
  const Status& status = result.status();
  if (json_) {
    fmt::print(err_, "{}\n", ToJson(status).dump(-1, ' ', false, kReplace));
  } else {
    fmt::print(err_, "haq: {}: {}\n", StatusCodeName(status.code()), status.message());
  }
  return ExitCodeOf(status.code());
}

int Main(int argc, const char* const* argv, std::FILE* out, std::FILE* err) {
  App app(out, err);
  CLI::App root{
      "HAQ: INT8 quantization as a service. Sends models and image sets to a server, "
      "watches their calibration, and asks the INT8 networks.",
      "haq"};
  root.set_version_flag("--version", "haq " + std::string(kVersion));
  root.require_subcommand(1);
  root.footer(std::string(ExitCodeHelp()));
  app.AddCommonOptions(&root);
  AddModelCommands(&root, &app);
  AddDatasetCommands(&root, &app);
  AddJobCommands(&root, &app);
  AddTableCommand(&root, &app);
  AddInferCommand(&root, &app);
  AddBenchServeCommand(&root, &app);
  AddArtifactCommands(&root, &app);
  AddStatusCommands(&root, &app);
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream text, error_text;
    const int code = root.exit(error, text, error_text);
    fmt::print(out, "{}", text.str());
    fmt::print(err, "{}", error_text.str());
    return code == 0 ? kExitOk : kExitUsage;
  }
  return app.Run();
}

}  // namespace haq::client
