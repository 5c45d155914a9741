#include <ringcast/detail/clock.hpp>

#include <ctime>

namespace ringcast::engine {

std::uint64_t now_ns() noexcept {
  timespec now{};
  // It fails only for a clock that does not exist or a bad pointer, and neither can be here.
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

std::uint64_t now_ms() noexcept { return now_ns() / 1'000'000u; }

} // namespace ringcast::engine
