// How many cores this process may use: those of its affinity mask, and what the CPU quota of its control groups lets it use of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ringcast::engine {

struct core_allowance {
  std::vector<int> cores;     // of the affinity mask, at least one
  std::optional<double> quota; // cores' worth of time that the control groups allow, if they bound it

  // One thread for each core that can be kept busy.
  [[nodiscard]] std::uint32_t threads() const;
};

[[nodiscard]] core_allowance allowed_cores();

// The least quota of a control group (version 2) and all those above it. `own` is /proc/self/cgroup, `root` where the groups are mounted.
[[nodiscard]] std::optional<double> cpu_quota(const std::string& own, const std::string& root);

} // namespace ringcast::engine
