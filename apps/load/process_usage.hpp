// What a process has used, as the operating system accounts for it.
//
// CPU: the clock of the process (clock_getcpuclockid), which is the scheduler's own sum of run time over all its
// threads, those that have ended included, in nanoseconds; user and system together, and on loopback with the
// receiver's TCP input that runs in the sender's context. /proc/<pid>/stat holds the same sum in ticks of 10 ms, but
// tells user and system apart; bench/README.md has the comparison.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <sys/types.h>

namespace ringcast::load {

// Nanoseconds of CPU so far; 0 for pid 0, which means that nobody asked.
[[nodiscard]] std::expected<std::int64_t, std::string> cpu_ns_of(pid_t pid);

// The same from /proc/<pid>/stat (utime, stime), in nanoseconds but only as fine as a tick.
struct cpu_ticks {
  std::int64_t user_ns = 0;
  std::int64_t system_ns = 0;
};
[[nodiscard]] cpu_ticks cpu_ticks_of(pid_t pid);

// The same from the scheduler's figures of each thread that lives now, /proc/<pid>/task/*/schedstat.
[[nodiscard]] std::int64_t cpu_schedstat_ns_of(pid_t pid);

struct memory_use {
  std::int64_t private_bytes = 0;   // Private_Clean + Private_Dirty of /proc/<pid>/smaps_rollup.
  std::int64_t anonymous_bytes = 0; // RssAnon of /proc/<pid>/status.
};
// All zero where it cannot be read.
[[nodiscard]] memory_use memory_of(pid_t pid);

// Both at once. User and system are told apart in ticks only, so their sum is scaled to the process clock.
struct process_usage {
  double user_s = 0;
  double system_s = 0;
  std::int64_t private_bytes = 0;
};
[[nodiscard]] std::expected<process_usage, std::string> usage_of(pid_t pid);

} // namespace ringcast::load
