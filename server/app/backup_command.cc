#include "server/app/backup_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/base/exit_code.h"
#include "server/store/backup.h"

namespace haq::server::app {
namespace {

int Report(const char* what, const std::filesystem::path& where,
           const Result<store::BackupResult>& result) {
  if (!result.ok()) {
    fmt::print(stderr, "haq-server: {}\n", result.status().ToString());
    return ExitCodeOf(result.status().code());
  }
  fmt::print("{} {}: {} blobs, {} bytes, {} of the blobs new; all checked\n", what, where.string(),
             result->blobs, result->blob_bytes, result->new_blobs);
  return kExitOk;
}

}  // namespace

std::optional<int> RunBackupCommand(int argc, const char* const* argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  if (command != "backup" && command != "restore") return std::nullopt;
  CLI::App app("Copies a data folder, whether a server uses it or not.", "haq-server");
  app.require_subcommand(1);
  std::filesystem::path folder, data_dir = "haq-data";
  CLI::App* backup = app.add_subcommand("backup", "Copy the data folder to DIR, while it is used");
  CLI::App* restore = app.add_subcommand("restore", "Make a new data folder of the backup DIR");
  backup->add_option("DIR", folder, "The backup; one that is there is brought up to date")
      ->required();
  backup->add_option("--data-dir", data_dir, "The data folder")->envname("HAQ_DATA_DIR");
  restore->add_option("DIR", folder, "The backup")->required();
  restore->add_option("--data-dir", data_dir, "The data folder to make; missing or empty")
      ->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  if (restore->parsed()) {
    return Report("restored", data_dir, store::RestoreBackup(folder, data_dir));
  }
  return Report("backup", folder, store::MakeBackup(data_dir, folder));
}

}  // namespace haq::server::app
