// The timers of a shard: whose they are, and those of connections, of which each has one.
#pragma once

#include "engine/base/timer_wheel.hpp"
#include "engine/connection/connection.hpp"
#include "engine/shard/turn_clock.hpp"

#include <cstdint>

namespace ringcast::engine {

// In timer_node::kind. Those of coroutines have a kind of their own, waiter::timer_kind.
enum class shard_timer : std::uint8_t { connection, accept, stop, client, trim, history, drain, cluster };

[[nodiscard]] inline timer_node timer_of(shard_timer whose) { return timer_node{static_cast<std::uint8_t>(whose)}; }

class connection_timers {
 public:
  connection_timers(timer_wheel& wheel, const turn_clock& clock) : wheel_(wheel), clock_(clock) {}

  void arm(connection& c, std::uint64_t in_ms) { wheel_.arm(c.timer, clock_.ms + in_ms); }
  // Something begins that is looked at after this time, at the latest.
  void look_within(connection& c, std::uint64_t in_ms) {
    if (!c.timer.armed() || c.timer.deadline_ms > clock_.ms + in_ms) arm(c, in_ms);
  }
  void cancel(connection& c) { wheel_.cancel(c.timer); }

 private:
  timer_wheel& wheel_;
  const turn_clock& clock_;
};

} // namespace ringcast::engine
