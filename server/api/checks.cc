#include "server/api/checks.h"

namespace haq::server::api {
namespace {

// "jobs/1, jobs/2 and 5 more"
std::string NameSome(const std::vector<store::JobRecord>& jobs) {
  constexpr size_t kMost = 5;
  std::string names;
  for (size_t i = 0; i < jobs.size() && i < kMost; ++i) {
    if (i > 0) names += ", ";
    names += jobs::JobName(jobs[i].number);
  }
  if (jobs.size() > kMost) names += fmt::format(" and {} more", jobs.size() - kMost);
  return names;
}

}  // namespace

Status CheckClassNames(const std::string& field,
                       const google::protobuf::RepeatedPtrField<std::string>& names,
                       const Limits& limits) {
  if (names.size() > limits.max_class_names) {
    return InvalidField(field, "must be at most {}, found {}", limits.max_class_names,
                        names.size());
  }
  for (int i = 0; i < names.size(); ++i) {
    if (static_cast<int64_t>(names[i].size()) > limits.max_class_name_bytes) {
      return InvalidField(fmt::format("{}[{}]", field, i), "must have at most {} bytes, found {}",
                          limits.max_class_name_bytes, names[i].size());
    }
  }
  return {};
}

Status EndJobsThatUse(Context& context, store::Transaction& transaction, jobs::Effects& effects,
                      const std::string& resource, const std::vector<store::JobRecord>& active,
                      bool force) {
  if (active.empty()) return {};
  if (!force) {
    return FailedPrecondition("{} is used by {}; cancel them, or delete with force", resource,
                              NameSome(active));
  }
  for (const store::JobRecord& job : active) {
    context.queue.FailNow(
        transaction, effects, job,
        FailedPrecondition("{} was deleted while the job was {}", resource,
                           job.state == jobs::JobState::kQueued ? "queued" : "running"));
  }
  return {};
}

}  // namespace haq::server::api
