// The isolation of one worker process: prepared by the server, put on by the child between fork and
// exec, before it runs a line of the worker. No other thread of the child exists then, so nothing
// escapes.
#pragma once

#include <linux/filter.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "server/sandbox/isolation.h"
#include "server/sandbox/landlock.h"

namespace haq::server::sandbox {

// Whom a worker runs as.
struct User {
  bool change = false;  // false: as this process
  uid_t uid = 0;
  gid_t gid = 0;
};

// The user that `options` asks for. kInvalidArgument for the field worker_user when there is none
// of that name.
Result<User> FindUser(const Options& options);

// What is put on, and of whom. Const after Make.
class Plan {
 public:
  // `folder` is the worker's own and exists: given to its user, and the only place where it may
  // write. `program` may be read and run, as may what lies below /usr and /lib.
  static Result<Plan> Make(const Options& options, const std::filesystem::path& folder,
                           const std::filesystem::path& program);

  // In the child. Async-signal-safe. When the mode is kRequire and the report is not complete the
  // child must not go on.
  Report PutOn() const;
  Mode mode() const { return options_.mode; }
  const Options& options() const { return options_; }

  // What this machine makes of it, tried out in a child that ends at once.
  Result<Report> Try() const;

 private:
  Plan(const Options& options, const User& user) : options_(options), user_(user) {}

  void AddLimits();
  int EnterNetworkNamespace() const;
  int ChangeUser() const;
  int SetLimits() const;

  Options options_;
  User user_;
  bool root_ = false;
  std::string uid_map_, gid_map_;  // of a user namespace
  std::vector<std::pair<int, rlimit>> limits_;
  FileRules files_;
  std::vector<sock_filter> filter_;
};

// "NAME=value" of this process for a worker: what libraries and HAQ look at, and no secrets that
// the server was started with.
std::vector<std::string> WorkerEnvironment();

// What process `signal` (or a SIGKILL after so much CPU time) says about a limit: "its limit of 600
// s of CPU time (--worker-max-cpu-seconds)"; empty when it was none.
std::string LimitBehind(int signal, double cpu_seconds, const Limits& limits);

// The isolation of this very process, in words for its log.
std::string DescribeOwn();

}  // namespace haq::server::sandbox
