// The time of the engine: milliseconds and nanoseconds of the monotonic clock.
//
// Every reading of the time goes through these two functions, and they call clock_gettime from their own translation
// unit, so that a test can put a clock of its own behind them when it links (-Wl,--wrap=clock_gettime).
#pragma once

#include <cstdint>

namespace ringcast::engine {

// Nanoseconds of CLOCK_MONOTONIC. Any thread. Never goes backwards; the origin means nothing.
[[nodiscard]] std::uint64_t now_ns() noexcept;

// The same clock in whole milliseconds, rounded down.
[[nodiscard]] std::uint64_t now_ms() noexcept;

} // namespace ringcast::engine
