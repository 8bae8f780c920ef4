#include "server/metrics/process.h"

#include <prometheus/metric_family.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

namespace haq::server::metrics {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily Family(std::string name, std::string help, MetricType type, double value) {
  MetricFamily family;
  family.name = std::move(name);
  family.help = std::move(help);
  family.type = type;
  prometheus::ClientMetric metric;
  if (type == MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  family.metric.push_back(std::move(metric));
  return family;
}

// Numbers of /proc/self/stat after the program's name, which may itself hold spaces and brackets:
// fields[0] is the state, the third field of proc(5).
std::optional<std::vector<std::string>> StatFields() {
  std::ifstream file("/proc/self/stat");
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  const size_t end_of_name = line.rfind(')');
  if (end_of_name == std::string::npos) return std::nullopt;
  std::istringstream words(line.substr(end_of_name + 1));
  std::vector<std::string> fields;
  for (std::string word; words >> word;) fields.push_back(word);
  if (fields.size() < 22) return std::nullopt;
  return fields;
}

// Seconds since 1970 at which the machine started.
std::optional<double> BootTime() {
  std::ifstream file("/proc/stat");
  for (std::string word; file >> word;) {
    double seconds = 0;
    if (word == "btime" && file >> seconds) return seconds;
  }
  return std::nullopt;
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::optional<double> OpenFiles() {
  std::error_code error;
  double count = 0;
  for (std::filesystem::directory_iterator entry("/proc/self/fd", error), end;
       !error && entry != end; entry.increment(error)) {
    ++count;
  }
  if (error) return std::nullopt;
  return count;
}

}  // namespace

std::vector<MetricFamily> ProcessCollector::Collect() const {
  std::vector<MetricFamily> families;
  families.push_back(Family("process_cpu_seconds_total", "User and system CPU time of the server",
                            MetricType::Counter, CpuSeconds()));
  if (const auto files = OpenFiles()) {
    families.push_back(
        Family("process_open_fds", "Open file descriptors", MetricType::Gauge, *files));
  }
  const auto fields = StatFields();
  if (!fields) return families;
  const double threads = std::stod((*fields)[17]);
  const double start_ticks = std::stod((*fields)[19]);
  const double pages = std::stod((*fields)[21]);
  families.push_back(
      Family("process_threads", "Threads of the server", MetricType::Gauge, threads));
  families.push_back(Family("process_resident_memory_bytes", "Resident memory of the server",
                            MetricType::Gauge, pages * static_cast<double>(sysconf(_SC_PAGESIZE))));
  if (const auto boot = BootTime()) {
    families.push_back(Family("process_start_time_seconds",
                              "Start of the server, seconds since 1970", MetricType::Gauge,
                              *boot + start_ticks / static_cast<double>(sysconf(_SC_CLK_TCK))));
  }
  return families;
}

}  // namespace haq::server::metrics
