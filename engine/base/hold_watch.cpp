#include "engine/base/hold_watch.hpp"

#include "engine/base/log.hpp"
#include <ringcast/detail/clock.hpp>

#include <utility>

namespace ringcast::engine {

namespace {
constexpr std::uint64_t line_interval_ns = 1'000'000'000; // a handler that is always slow says one thing a second
} // namespace

void hold_watch::look(std::string_view what, const std::source_location& where, std::uint64_t began_ns) noexcept {
  const std::uint64_t now = now_ns();
  if (now - began_ns < limit_ns_ || where.line() == 0) return;
  if (said_ns_ != 0 && now - said_ns_ < line_interval_ns) {
    ++not_said_;
    return;
  }
  said_ns_ = now;
  const std::uint64_t more = std::exchange(not_said_, 0);
  try {
    log_warning("{} registered at {}:{} held its shard for {} ms, in which nobody else there was served{}", what, where.file_name(), where.line(),
                (now - began_ns) / 1'000'000, more == 0 ? std::string{} : fmt::format(" ({} more like it since the last of these lines)", more));
  } catch (...) {
    // Without memory for a line there is none.
  }
}

} // namespace ringcast::engine
