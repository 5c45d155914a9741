// How often lines of one kind may be said: what peers can make happen a thousand times a second must not fill the log. Any thread.
#pragma once

#include <atomic>
#include <cstdint>

namespace ringcast::engine {

class log_rate {
 public:
  static constexpr std::uint32_t lines_per_s_max = 10; // of the whole process: what a person can still read

  struct answer {
    bool may_say;
    std::uint64_t left_out = 0; // since the line before: this one says so
  };
  [[nodiscard]] answer ask(std::uint64_t now_ms) {
    const std::uint64_t now_s = now_ms / 1000;
    std::uint64_t seen = window_.load(std::memory_order_relaxed);
    std::uint64_t next = 0;
    do { // threads look at the clock at different times: the latest one counts
      next = seen >> 32 >= now_s ? seen + 1 : now_s << 32 | 1;
    } while (!window_.compare_exchange_weak(seen, next, std::memory_order_relaxed));
    if ((next & UINT32_MAX) <= lines_per_s_max) return {true, left_out_.exchange(0, std::memory_order_relaxed)};
    left_out_.fetch_add(1, std::memory_order_relaxed);
    return {false};
  }

 private:
  std::atomic<std::uint64_t> window_{0}; // a second in its upper half, how often somebody asked in it in the lower
  std::atomic<std::uint64_t> left_out_{0};
};

} // namespace ringcast::engine
