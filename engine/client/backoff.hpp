// How long to wait before the next attempt to connect: exponential backoff with full jitter.
//
// The idea of full jitter is described in the AWS Architecture Blog, "Exponential Backoff And Jitter" (2015): each
// delay is drawn evenly from zero to the exponentially growing bound. Clients that lost their server at the same moment
// then come back spread over the whole interval and not in waves.
#pragma once

#include <ringcast/client_options.hpp>

#include <chrono>
#include <cstdint>
#include <optional>

namespace ringcast::engine {

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

} // namespace ringcast::engine
