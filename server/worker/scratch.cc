#include "server/worker/scratch.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

namespace haq::server::worker {
namespace {

constexpr std::string_view kPrefix = "haq-worker-";

bool IsAlive(pid_t pid) { return ::kill(pid, 0) == 0 || errno == EPERM; }

// The pid in "haq-worker-<pid>-XXXXXX", or 0.
pid_t OwnerOf(const std::string& name) {
  if (!name.starts_with(kPrefix)) return 0;
  pid_t pid = 0;
  const char* begin = name.data() + kPrefix.size();
  const auto [end, error] = std::from_chars(begin, name.data() + name.size(), pid);
  return error == std::errc() && end != name.data() + name.size() && *end == '-' ? pid : 0;
}

}  // namespace

Result<std::unique_ptr<ScratchFolder>> ScratchFolder::Make(const std::filesystem::path& parent) {
  std::error_code error;
  std::filesystem::create_directories(parent, error);
  std::string path = (parent / fmt::format("{}{}-XXXXXX", kPrefix, ::getpid())).string();
  if (error || ::mkdtemp(path.data()) == nullptr) {
    return FailedPrecondition("cannot make a scratch folder in {}: {}", parent.string(),
                              error ? error.message() : std::strerror(errno));
  }
  return std::make_unique<ScratchFolder>(path);
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

int RemoveAbandonedScratch(const std::filesystem::path& parent) {
  int removed = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(parent, error)) {
    const pid_t owner = OwnerOf(entry.path().filename().string());
    if (owner <= 0 || IsAlive(owner)) continue;
    std::error_code ignored;
    std::filesystem::remove_all(entry.path(), ignored);
    ++removed;
  }
  return removed;
}

}  // namespace haq::server::worker
