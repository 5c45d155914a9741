// Who keeps a shard's thread for too long: user code is timed while a watch is set, and named in the log. For debugging, so a
// program that does not ask for it never looks at the clock.
#pragma once

#include <cstdint>
#include <source_location>
#include <string_view>

namespace ringcast::engine {

class hold_watch {
 public:
  explicit hold_watch(std::uint64_t limit_ms) noexcept : limit_ns_(limit_ms * 1'000'000) {}

  // Behind a call that began at this time of the monotonic clock. A place without a line is the library's own and is not named, since what it
  // calls is timed by itself.
  void look(std::string_view what, const std::source_location& where, std::uint64_t began_ns) noexcept;

 private:
  std::uint64_t limit_ns_;
  std::uint64_t said_ns_ = 0;
  std::uint64_t not_said_ = 0; // calls since the last line
};

} // namespace ringcast::engine
