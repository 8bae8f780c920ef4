#include "server/sandbox/isolation.h"

#include <fmt/format.h>

#include <cstring>
#include <vector>

namespace haq::server::sandbox {

std::string_view NameOf(Mechanism mechanism) {
  switch (mechanism) {
    case Mechanism::kNetworkNamespace:
      return "network_namespace";
    case Mechanism::kUser:
      return "user";
    case Mechanism::kCapabilities:
      return "capabilities";
    case Mechanism::kNoNewPrivileges:
      return "no_new_privileges";
    case Mechanism::kLimits:
      return "limits";
    case Mechanism::kLandlock:
      return "landlock";
    case Mechanism::kSeccomp:
      return "seccomp";
  }
  return "unknown";
}

Report Report::NothingAsked() {
  Report report;
  report.state.fill(kNotAsked);
  return report;
}

bool Report::Complete() const {
  for (int i = 0; i < kMechanisms; ++i) {
    if (state[i] > 0 && static_cast<Mechanism>(i) != Mechanism::kNetworkNamespace) return false;
  }
  return true;
}

std::string Report::Describe() const {
  std::vector<std::string> on, off, refused;
  for (int i = 0; i < kMechanisms; ++i) {
    const std::string name(NameOf(static_cast<Mechanism>(i)));
    if (state[i] == kOn) on.push_back(name);
    if (state[i] == kNotAsked) off.push_back(name);
    if (state[i] > 0) refused.push_back(fmt::format("{} ({})", name, std::strerror(state[i])));
  }
  std::string text =
      fmt::format("on: {}", on.empty() ? "nothing" : fmt::format("{}", fmt::join(on, ", ")));
  if (!refused.empty())
    text += fmt::format("; refused by this machine: {}", fmt::join(refused, ", "));
  if (!off.empty()) text += fmt::format("; not asked for: {}", fmt::join(off, ", "));
  return text;
}

}  // namespace haq::server::sandbox
