#include "engine/io/core_allowance.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sched.h>

namespace ringcast::engine {

std::uint32_t core_allowance::threads() const {
  const auto most = static_cast<std::uint32_t>(cores.size());
  if (!quota) return most;
  // A part of a core counts as one: rounding down would leave time that was paid for.
  return std::clamp(static_cast<std::uint32_t>(std::ceil(*quota)), 1u, most);
}

core_allowance allowed_cores() {
  core_allowance allowed;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    for (int core = 0; core < CPU_SETSIZE; ++core)
      if (CPU_ISSET(core, &set)) allowed.cores.push_back(core);
  if (allowed.cores.empty()) allowed.cores.push_back(0);
  allowed.quota = cpu_quota("/proc/self/cgroup", "/sys/fs/cgroup");
  return allowed;
}

namespace {

// cpu.max: "QUOTA PERIOD" in microseconds, or "max PERIOD".
std::optional<double> quota_of(const std::string& folder) {
  std::ifstream file{folder + "/cpu.max"};
  double quota = 0, period = 0;
  if (!(file >> quota >> period) || quota <= 0 || period <= 0) return std::nullopt;
  return quota / period;
}

} // namespace

std::optional<double> cpu_quota(const std::string& own, const std::string& root) {
  std::ifstream groups{own};
  std::optional<double> least;
  for (std::string line; std::getline(groups, line);) {
    if (!line.starts_with("0::/")) continue; // version 2 has the one hierarchy 0
    std::string path = line.substr(3);
    while (true) {
      if (const auto quota = quota_of(root + path)) least = std::min(*quota, least.value_or(*quota));
      if (path.empty() || path == "/") break;
      path.resize(path.rfind('/'));
    }
  }
  return least;
}

} // namespace ringcast::engine
