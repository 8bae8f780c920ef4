#include "client/comparison/peer.h"

#include <fmt/ranges.h>

#include <cstdlib>
#include <sstream>
#include <system_error>

#include "client/comparison/process.h"

namespace haq::comparison {
namespace {

constexpr char kScript[] = "share/haq/pytorch/pytorch_ptq.py";

std::vector<std::string> Arguments(const PeerRequest& request) {
  std::vector<std::string> arguments{request.program.string(),
                                     "--progress",
                                     "--model",
                                     request.model.string(),
                                     "--input-shape",
                                     fmt::format("{}", fmt::join(request.input_shape, ","))};
  const auto add = [&arguments](const char* name, const std::string& value) {
    arguments.insert(arguments.end(), {name, value});
  };
  add("--preprocess", request.preprocess_json);
  add("--weights", request.weights);
  add("--limit-calibration", std::to_string(request.limit_calibration));
  add("--limit-evaluation", std::to_string(request.limit_evaluation));
  add("--cache", request.cache.string());
  arguments.push_back("--calibration");
  for (const auto& shard : request.calibration) arguments.push_back(shard.string());
  arguments.push_back("--evaluation");
  for (const auto& shard : request.evaluation) arguments.push_back(shard.string());
  return arguments;
}

// "progress WHAT DONE TOTAL"
bool TakeProgress(std::string_view line, const PeerProgress& progress) {
  std::istringstream words{std::string(line)};
  std::string word, what;
  int64_t done = 0, total = 0;
  if (!(words >> word >> what >> done >> total) || word != "progress") return false;
  if (progress) progress(what, done, total);
  return true;
}

}  // namespace

Result<std::filesystem::path> FindPeer() {
  const char* given = std::getenv("HAQ_PYTORCH_PEER");
  if (given != nullptr && *given != '\0') return std::filesystem::path(given);
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto script = self.parent_path().parent_path() / kScript;
  if (!error && std::filesystem::exists(script, error)) return script;
  return NotFound("its script is not at {} (HAQ_PYTORCH_PEER names another place)",
                  script.string());
}

Result<std::string> RunPeer(const PeerRequest& request, const PeerProgress& progress,
                            const std::stop_token& stop) {
  HAQ_ASSIGN_OR_RETURN(
      ProcessOutcome outcome,
      RunProcess(
          Arguments(request),
          [&progress](std::string_view line) { return TakeProgress(line, progress); }, stop));
  if (outcome.exit_code == 0) return std::move(outcome.output);
  std::string words = fmt::format("exit code {}", outcome.exit_code);
  if (!outcome.last_errors.empty()) words = outcome.last_errors.back();
  constexpr std::string_view kOwnName = "pytorch_ptq: ";
  if (words.starts_with(kOwnName)) words.erase(0, kOwnName.size());
  return Unsupported("{}", words);
}

}  // namespace haq::comparison
