#include "apps/load/slices/server_usage.hpp"

#include <ctime>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <sstream>
#include <string_view>
#include <unistd.h>

namespace ringcast::load::slices {
namespace {

// The sum, in bytes, of the lines of a /proc file that start with one of the names; their values are in kB.
std::int64_t sum_of_lines(const std::string& path, std::initializer_list<std::string_view> names) {
  std::ifstream file{path};
  std::int64_t total = 0;
  for (std::string line; std::getline(file, line);) {
    for (std::string_view name : names) {
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
    return std::unexpected{fmt::format("the server (pid {}) is gone", pid)};
  }
  return used.tv_sec * 1'000'000'000LL + used.tv_nsec;
}

std::int64_t cpu_ticks_ns_of(pid_t pid) {
  if (pid == 0) return 0;
  std::ifstream file{fmt::format("/proc/{}/stat", pid)};
  std::string line;
  std::getline(file, line);
  // The name in parentheses may hold spaces; utime and stime are the 12th and 13th words after it.
  std::istringstream words{line.substr(line.rfind(')') + 1)};
  std::string word;
  for (int i = 0; i < 11; ++i) words >> word;
  std::int64_t user = 0;
  std::int64_t system = 0;
  words >> user >> system;
  return (user + system) * (1'000'000'000LL / ::sysconf(_SC_CLK_TCK));
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

std::expected<memory_use, std::string> memory_of(pid_t pid) {
  memory_use use;
  use.private_bytes = sum_of_lines(fmt::format("/proc/{}/smaps_rollup", pid), {"Private_Clean:", "Private_Dirty:"});
  use.anonymous_bytes = sum_of_lines(fmt::format("/proc/{}/status", pid), {"RssAnon:"});
  if (use.private_bytes == 0) return std::unexpected{fmt::format("cannot read the memory of pid {}", pid)};
  return use;
}

} // namespace ringcast::load::slices
