#include "apps/load/process_usage.hpp"

#include <ctime>
#include <fmt/format.h>
#include <fstream>
#include <sstream>
#include <unistd.h>

namespace ringcast::load {

std::expected<process_usage, std::string> usage_of(pid_t pid) {
  clockid_t clock{};
  timespec used{};
  std::ifstream stat{fmt::format("/proc/{}/stat", pid)};
  std::string line;
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &used) != 0 || !std::getline(stat, line)) {
    return std::unexpected{fmt::format("--server-pid: there is no process {}", pid)};
  }
  // The name in parentheses may hold spaces; utime and stime are the 12th and 13th words after it.
  std::istringstream words{line.substr(line.rfind(')') + 1)};
  std::string skipped;
  for (int i = 0; i < 11; ++i) words >> skipped;
  double user_ticks = 0;
  double system_ticks = 0;
  words >> user_ticks >> system_ticks;
  const double exact_s = static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
  const double user_share = user_ticks + system_ticks > 0 ? user_ticks / (user_ticks + system_ticks) : 1.0;
  process_usage out{.user_s = exact_s * user_share, .system_s = exact_s * (1 - user_share)};
  std::ifstream memory{fmt::format("/proc/{}/smaps_rollup", pid)};
  for (std::string row; std::getline(memory, row);) {
    for (const std::string_view name : {"Private_Clean:", "Private_Dirty:"}) {
      if (row.starts_with(name)) out.private_bytes += std::stoll(row.substr(name.size())) * 1024;
    }
  }
  return out;
}

} // namespace ringcast::load
