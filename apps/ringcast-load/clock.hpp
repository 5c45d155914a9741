// One clock for planning, pacing and latency: CLOCK_MONOTONIC in nanoseconds; and the CPU time of the calling thread.
#pragma once

#include <cstdint>
#include <ctime>

namespace ringcast {

namespace clock_detail {
inline std::int64_t read(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}
} // namespace clock_detail

[[nodiscard]] inline std::int64_t clock_ns() { return clock_detail::read(CLOCK_MONOTONIC); }
[[nodiscard]] inline std::int64_t thread_cpu_ns() { return clock_detail::read(CLOCK_THREAD_CPUTIME_ID); }

} // namespace ringcast
