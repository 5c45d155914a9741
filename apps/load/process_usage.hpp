// What a process has used, as the kernel accounts for it in /proc.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <sys/types.h>

namespace ringcast::load {

struct process_usage {
  double user_s = 0;              // utime of /proc/PID/stat: user and system are told apart only in ticks of 10 ms...
  double system_s = 0;            // ...so their sum is scaled to the process clock, which is exact.
  std::int64_t private_bytes = 0; // Private_Clean + Private_Dirty of /proc/PID/smaps_rollup.
};

[[nodiscard]] std::expected<process_usage, std::string> usage_of(pid_t pid);

} // namespace ringcast::load
