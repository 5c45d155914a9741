// The one source of chance of a simulated run: the same seed gives the same run, on every machine.
#pragma once

#include <cstdint>

namespace ringcast::sim {

class random_source {
 public:
  explicit random_source(std::uint64_t seed) : state_(seed) {}

  // SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): every seed, also 0, is a good one.
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

  // 0 .. bound - 1; 0 for a bound of 0. The slight bias of the remainder does not matter here.
  std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : next() % bound; }
  std::uint64_t between(std::uint64_t low, std::uint64_t high) { return low + below(high - low + 1); }

  // True with this probability. Draws nothing for 0, so that a fault that is off does not change the run.
  bool chance(double probability) { return probability > 0 && static_cast<double>(next() >> 11) * 0x1.0p-53 < probability; }

 private:
  std::uint64_t state_;
};

} // namespace ringcast::sim
