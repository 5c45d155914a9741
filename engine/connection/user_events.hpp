// What a connection's user is still to be told, as bits of connection::untold. `handlers` tells it.
#pragma once

#include "engine/connection/connection.hpp"

#include <cstdint>

namespace ringcast::engine {

// In the order in which they are told, but for `dropped`, which stands beside `gap`. `closing` is no callback: this end's Close frame goes out behind what the ones before it have sent.
enum class user_event : std::uint8_t { opened = 1, gap = 2, drained = 4, leaving = 8, closing = 16, closed = 32, attempt_failed = 64, dropped = 128 };

[[nodiscard]] inline bool is_untold(const connection& c, user_event what) { return (c.untold & static_cast<std::uint8_t>(what)) != 0; }

// The seats of a connection that are served: one that is about to leave its rooms hears nothing from them any more.
[[nodiscard]] inline membership* served_seats(const connection& c) { return is_untold(c, user_event::leaving) ? nullptr : c.memberships; }

// No byte of its input is handled any more.
[[nodiscard]] inline bool is_input_over(const connection& c) {
  return c.phase == connection_phase::finishing || c.phase == connection_phase::ending || is_untold(c, user_event::closing);
}

} // namespace ringcast::engine
