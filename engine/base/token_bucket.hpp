// A token bucket that has no timer: it is brought up to date when somebody asks. What is kept is what is missing from a full one, so a bucket that
// was never touched is full whatever its limit is, and a limit may change.
#pragma once

#include <ringcast/rate_limits.hpp>

#include <algorithm>
#include <cstdint>

namespace ringcast::engine {

class token_bucket {
 public:
  // Thousandths of so many, a thousand times over, still fit into 64 bits.
  static constexpr std::uint64_t tokens_max = std::uint64_t{1} << 40;

  [[nodiscard]] bool has(const rate_limit& limit, std::uint64_t now_ms, std::uint64_t tokens) {
    if (!limit.is_on()) return true;
    refill(limit, now_ms);
    return missing_ + tokens * 1000 <= capacity_of(limit);
  }
  // May owe some afterwards.
  void take(const rate_limit& limit, std::uint64_t now_ms, std::uint64_t tokens) {
    if (!limit.is_on()) return;
    refill(limit, now_ms);
    missing_ += std::min(tokens, tokens_max) * 1000;
  }
  // Until it has so many, or is full.
  [[nodiscard]] std::uint64_t ms_until(const rate_limit& limit, std::uint64_t now_ms, std::uint64_t tokens) {
    if (!limit.is_on()) return 0;
    refill(limit, now_ms);
    const std::uint64_t may_miss = capacity_of(limit) - std::min(tokens * 1000, capacity_of(limit));
    return missing_ <= may_miss ? 0 : (missing_ - may_miss + speed_of(limit) - 1) / speed_of(limit);
  }
  // A tenth of a second's worth, or all that fits: whoever waits is let go on so often at most.
  [[nodiscard]] static std::uint64_t portion_of(const rate_limit& limit) {
    return std::clamp<std::uint64_t>(speed_of(limit) / 10, 1, capacity_of(limit) / 1000);
  }

 private:
  static std::uint64_t speed_of(const rate_limit& limit) { return std::min(limit.per_s, tokens_max); } // thousandths in a millisecond
  static std::uint64_t capacity_of(const rate_limit& limit) { return std::min(limit.burst != 0 ? limit.burst : limit.per_s, tokens_max) * 1000; }

  // Clocks of two shards are of different turns: one that is behind brings nothing.
  void refill(const rate_limit& limit, std::uint64_t now_ms) {
    if (now_ms <= at_ms_) return;
    const std::uint64_t passed_ms = now_ms - at_ms_;
    at_ms_ = now_ms;
    missing_ = passed_ms > missing_ / speed_of(limit) ? 0 : missing_ - passed_ms * speed_of(limit);
  }

  std::uint64_t missing_ = 0; // thousandths
  std::uint64_t at_ms_ = 0;   // when that was so
};

} // namespace ringcast::engine
