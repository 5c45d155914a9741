#include "apps/load/process_usage.hpp"

#include <ctime>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <initializer_list>
#include <sstream>
#include <string_view>
#include <unistd.h>

namespace ringcast::load {

namespace {

// The sum, in bytes, of the lines of a /proc file that start with one of the names; their values are in kB.
std::int64_t sum_of_lines(const std::string& path, std::initializer_list<std::string_view> names) {
  std::ifstream file{path};
  std::int64_t total = 0;
  for (std::string line; std::getline(file, line);) {
    for (const std::string_view name : names) {
      if (line.starts_with(name)) total += std::stoll(line.substr(name.size())) * 1024;
    }
  }
  return total;
}

} // namespace

std::expected<std::int64_t, std::string> cpu_ns_of(pid_t pid) {
  if (pid == 0) return 0;
  clockid_t clock{};
  timespec used{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &used) != 0) {
    return std::unexpected{fmt::format("--server-pid: there is no process {}", pid)};
  }
  return used.tv_sec * 1'000'000'000LL + used.tv_nsec;
}

cpu_ticks cpu_ticks_of(pid_t pid) {
  std::ifstream file{fmt::format("/proc/{}/stat", pid)};
  std::string line;
  if (pid == 0 || !std::getline(file, line)) return {};
  // The name in parentheses may hold spaces; utime and stime are the 12th and 13th words after it.
  std::istringstream words{line.substr(line.rfind(')') + 1)};
  std::string skipped;
  for (int i = 0; i < 11; ++i) words >> skipped;
  cpu_ticks out;
  words >> out.user_ns >> out.system_ns;
  const std::int64_t tick_ns = 1'000'000'000LL / ::sysconf(_SC_CLK_TCK);
  return {.user_ns = out.user_ns * tick_ns, .system_ns = out.system_ns * tick_ns};
}

std::int64_t cpu_schedstat_ns_of(pid_t pid) {
  if (pid == 0) return 0;
  std::int64_t total = 0;
  std::error_code ignored;
  for (const auto& thread : std::filesystem::directory_iterator{fmt::format("/proc/{}/task", pid), ignored}) {
    std::ifstream file{thread.path() / "schedstat"};
    std::int64_t run_ns = 0;
    if (file >> run_ns) total += run_ns;
  }
  return total;
}

memory_use memory_of(pid_t pid) {
  return {.private_bytes = sum_of_lines(fmt::format("/proc/{}/smaps_rollup", pid), {"Private_Clean:", "Private_Dirty:"}),
          .anonymous_bytes = sum_of_lines(fmt::format("/proc/{}/status", pid), {"RssAnon:"})};
}

std::expected<process_usage, std::string> usage_of(pid_t pid) {
  const auto exact_ns = cpu_ns_of(pid);
  if (!exact_ns) return std::unexpected{exact_ns.error()};
  const cpu_ticks ticks = cpu_ticks_of(pid);
  const auto both = static_cast<double>(ticks.user_ns + ticks.system_ns);
  const double user_share = both > 0 ? static_cast<double>(ticks.user_ns) / both : 1.0;
  const double exact_s = static_cast<double>(*exact_ns) / 1e9;
  return process_usage{.user_s = exact_s * user_share, .system_s = exact_s * (1 - user_share), .private_bytes = memory_of(pid).private_bytes};
}

} // namespace ringcast::load
