// The time of a shard's turn, read once when the turn's completions are there: all that happens in one turn happens at one time.
#pragma once

#include <cstdint>

namespace ringcast::engine {

struct turn_clock {
  std::uint64_t ms = 0;
  std::uint64_t ns = 0;

  [[nodiscard]] std::uint32_t seconds() const { return static_cast<std::uint32_t>(ms / 1000); }
};

} // namespace ringcast::engine
