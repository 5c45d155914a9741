// How long an operation may wait: until a point in time, and until somebody asks it to stop. Values, for any thread; no call here fails.
#pragma once

#include <ringcast/detail/clock.hpp>

#include <chrono>
#include <cstdint>
#include <limits>
#include <ratio>
#include <stop_token>

namespace ringcast {

// A point of the monotonic clock in milliseconds, or never. A duration converts to it and means "from now on":
// `co_await m.scoped_lock({.deadline = 5s})`. Made once, it can be given to several operations that together may take
// no longer.
class deadline {
 public:
  constexpr deadline() noexcept = default; // never

  // Rounded up to the next millisecond, so that nothing ends early. A negative duration has passed already, one that
  // no clock can hold is never.
  template <class Rep, class Period> deadline(std::chrono::duration<Rep, Period> from_now) noexcept : at_ms_(after(from_now)) {}

  [[nodiscard]] static constexpr deadline at_ms(std::uint64_t ms) noexcept {
    deadline d;
    d.at_ms_ = ms;
    return d;
  }

  [[nodiscard]] constexpr std::uint64_t ms() const noexcept { return at_ms_; }
  [[nodiscard]] constexpr bool is_never() const noexcept { return at_ms_ == never_ms; }
  [[nodiscard]] bool has_passed() const noexcept { return !is_never() && engine::now_ms() >= at_ms_; }

 private:
  static constexpr std::uint64_t never_ms = ~std::uint64_t{0};

  template <class Rep, class Period> static std::uint64_t after(std::chrono::duration<Rep, Period> from_now) noexcept {
    constexpr std::uint64_t ns_per_ms = 1'000'000;
    const std::uint64_t now = engine::now_ns();
    if (!(from_now > from_now.zero())) return now / ns_per_ms; // has passed, whatever part of a millisecond it is
    // In floating point first, because a count of hours may not fit into any count of nanoseconds.
    const double ns = std::chrono::duration<double, std::nano>(from_now).count();
    if (!(ns < 9.0e18)) return never_ms;
    const auto exact = std::chrono::ceil<std::chrono::nanoseconds>(from_now).count();
    return (now + static_cast<std::uint64_t>(exact) + ns_per_ms - 1) / ns_per_ms;
  }

  std::uint64_t at_ms_ = never_ms;
};

// What every waiting operation takes as its last argument; empty, it waits for as long as it takes.
struct wait_limits {
  ringcast::deadline deadline{};
  std::stop_token stop{}; // request_stop() may be called on any thread
};

// How a wait ended.
enum class wait_result : std::uint8_t {
  done,      // what was waited for has come
  timed_out, // the deadline passed first
  stopped,   // the stop token, the shard's end, or the end of what was waited for came first
};

} // namespace ringcast
