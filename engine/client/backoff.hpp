// How long to wait before the next attempt to connect: exponential backoff with full jitter.
//
// The idea of full jitter is described in the AWS Architecture Blog, "Exponential Backoff And Jitter" (2015): each
// delay is drawn evenly from zero to the exponentially growing bound. Clients that lost their server at the same moment
// then come back spread over the whole interval and not in waves.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>

namespace ringcast {

struct reconnect_policy {
  enum class jitter_kind : std::uint8_t { none, full };
  static constexpr unsigned unlimited = std::numeric_limits<unsigned>::max();

  bool enabled = true;
  unsigned max_attempts = unlimited;            // in a row, without success between them; see reset_after
  std::chrono::milliseconds initial_delay{500}; // the bound of the first delay; negative counts as 0
  std::chrono::milliseconds max_delay{30'000};  // no bound grows above this
  double multiplier = 2.0;                      // from one bound to the next; below 1 or no number counts as 1
  jitter_kind jitter = jitter_kind::full;
  // What counts as a success: a connection that lived this long, or that brought a message. One that opens and ends before is one more
  // attempt in the row, so that a server which accepts and ends at once is not asked for ever at the initial pace. A server that closes
  // with 1013 (try again later) is a success only by time, and is asked again after the initial delay at the earliest.
  std::chrono::milliseconds reset_after{10'000};
};

// The delays of one client. 40-odd bytes, no allocation, one thread. The same seed gives the same delays.
class backoff {
 public:
  backoff(const reconnect_policy& policy, std::uint64_t seed) noexcept;

  // What full jitter draws from: all below the bound; or, where the server has asked for patience without saying how
  // much, what lies between the initial delay and the next bound, so that nobody comes sooner and still not all at once.
  enum class from : std::uint8_t { zero, initial_delay };

  // The delay before the next attempt, or nothing when the policy allows no more. `at_least` is what the server has
  // asked for (Retry-After): the delay is not shorter, whatever the policy says.
  [[nodiscard]] std::optional<std::chrono::milliseconds> next(std::chrono::milliseconds at_least = std::chrono::milliseconds::zero(),
                                                              from lowest = from::zero) noexcept;

  // How many delays were given since the last reset().
  [[nodiscard]] unsigned attempts() const noexcept { return attempts_; }

  // After a success: the next delay is an initial one.
  void reset() noexcept;

 private:
  reconnect_policy policy_;
  std::uint64_t random_;
  unsigned attempts_ = 0;
  [[nodiscard]] double initial_ms() const noexcept;

  double bound_ms_;
};

} // namespace ringcast
