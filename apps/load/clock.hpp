// One clock for planning, pacing and latency: CLOCK_MONOTONIC in nanoseconds; and what the process and the calling
// thread have used and waited for.
#pragma once

#include <cstdint>
#include <cstdio>
#include <ctime>

namespace ringcast::load {

namespace clock_detail {
inline std::int64_t read(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}
} // namespace clock_detail

[[nodiscard]] inline std::int64_t clock_ns() { return clock_detail::read(CLOCK_MONOTONIC); }
[[nodiscard]] inline std::int64_t process_cpu_ns() { return clock_detail::read(CLOCK_PROCESS_CPUTIME_ID); }
[[nodiscard]] inline std::int64_t thread_cpu_ns() { return clock_detail::read(CLOCK_THREAD_CPUTIME_ID); }

// How long the calling thread was ready to run and had to wait for a processor, since it began; 0 where the kernel does
// not say (CONFIG_SCHED_INFO).
[[nodiscard]] inline std::int64_t thread_wait_ns() {
  long long ran = 0;
  long long waited = 0;
  std::FILE* const file = std::fopen("/proc/thread-self/schedstat", "re");
  if (!file) return 0;
  const bool read = std::fscanf(file, "%lld %lld", &ran, &waited) == 2;
  std::fclose(file);
  return read ? waited : 0;
}

} // namespace ringcast::load
