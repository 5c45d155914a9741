#include "engine/client/backoff.hpp"

#include <algorithm>
#include <cmath>

namespace ringcast::engine {
namespace {

using std::chrono::milliseconds;

// SplitMix64 (Steele, Lea and Flood, 2014): eight bytes of state are enough to spread clients.
std::uint64_t next_random(std::uint64_t& state) noexcept {
  state += 0x9e37'79b9'7f4a'7c15;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
  z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
  return z ^ (z >> 31);
}

// A number from 0 to `most`, both included.
std::uint64_t even_upto(std::uint64_t most, std::uint64_t& state) noexcept {
  // The high half of the product; the error against an even choice is below most / 2^64.
  return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next_random(state)) * (most + 1)) >> 64);
}

double at_least_zero(milliseconds delay) noexcept { return static_cast<double>(std::max<milliseconds::rep>(delay.count(), 0)); }

} // namespace

backoff::backoff(const reconnect_policy& policy, std::uint64_t seed) noexcept : policy_(policy), random_(seed) {
  // Written so that a NaN becomes 1. The upper limits, a year and a factor that reaches it from any delay in two steps,
  // are enough for everybody and keep all arithmetic finite.
  policy_.multiplier = policy_.multiplier >= 1.0 ? std::min(policy_.multiplier, 1e9) : 1.0;
  policy_.max_delay = std::clamp(policy_.max_delay, milliseconds::zero(), milliseconds(std::chrono::hours(24 * 365)));
  reset();
}

std::optional<milliseconds> backoff::next(milliseconds at_least, from lowest) noexcept {
  if (!policy_.enabled || attempts_ >= policy_.max_attempts) return std::nullopt;
  if (attempts_ != std::numeric_limits<unsigned>::max()) ++attempts_;
  const auto bound = static_cast<std::uint64_t>(bound_ms_);
  // Capped at every step, so that many attempts cannot overflow it.
  bound_ms_ = std::min(bound_ms_ * policy_.multiplier, at_least_zero(policy_.max_delay));
  std::uint64_t delay = bound;
  if (policy_.jitter == reconnect_policy::jitter_kind::full) {
    const auto initial = static_cast<std::uint64_t>(initial_ms());
    delay = lowest == from::zero ? even_upto(bound, random_) : initial + even_upto(static_cast<std::uint64_t>(bound_ms_) - initial, random_);
  }
  return std::max(milliseconds(static_cast<milliseconds::rep>(delay)), at_least);
}

double backoff::initial_ms() const noexcept { return std::min(at_least_zero(policy_.initial_delay), at_least_zero(policy_.max_delay)); }

void backoff::reset() noexcept {
  attempts_ = 0;
  bound_ms_ = initial_ms();
}

} // namespace ringcast::engine
