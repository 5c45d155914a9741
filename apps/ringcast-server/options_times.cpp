// Options: what is waited for, and how long.
#include "apps/ringcast-server/option_makers.hpp"

namespace ringcast::declared {

std::vector<option> times() {
  return {
      {.name = "ping-interval-s",
       .means = "a peer that was silent this long is sent a ping; 0 is never",
       .reason = "below the 60 s after which nginx and most load balancers end a silent connection",
       .when = may_change::at_reload,
       .rules = time([](auto& s) -> auto& { return s.server.limits.ping_interval_ms; }, second, ms, 0, day)},
      {.name = "pong-timeout-s",
       .means = "silence after that ping that ends the connection",
       .reason = "a telephone between two cells is back by then",
       .when = may_change::at_reload,
       .rules = time([](auto& s) -> auto& { return s.server.limits.pong_timeout_ms; }, second, ms, second, day)},
      {.name = "idle-timeout-s",
       .means = "a peer that sent no message this long, whatever it answers to pings, is closed with 1001; 0 is never",
       .reason = "who only listens sends nothing",
       .when = may_change::at_reload,
       .rules = time([](auto& s) -> auto& { return s.server.limits.idle_timeout_ms; }, second, ms, 0, day)},
      {.name = "close-timeout-s",
       .means = "how long a peer may take to answer our Close frame; also how long a stop may take as a whole",
       .reason = "many round trips, and less than process supervisors wait",
       .when = may_change::at_reload,
       .rules = time([](auto& s) -> auto& { return s.server.limits.close_timeout_ms; }, second, ms, second, day)},
      {.name = "drain-delay",
       .means = "when it is to stop, `GET /health/ready` says 503 so long while it still accepts: as long as a load balancer takes to notice",
       .reason = "without a load balancer nobody looks",
       .rules = time([](auto& s) -> auto& { return s.server.drain.delay_ms; }, second, ms, 0, day)},
      {.name = "drain-seconds",
       .means =
           "then nobody is accepted, and who is there is closed with 1001, evenly over this time; 0 is at once. What was called queued comes first",
       .reason = "20,000 that come back to another server are 2,000 handshakes a second",
       .rules = time([](auto& s) -> auto& { return s.server.drain.spread_ms; }, second, ms, 0, day)},
      {.name = "retry-after-s",
       .means = "after how long members that `ringcast.v1` tells of it are asked to come back when the server drains: as evenly as they were let go",
       .reason = "another server is there already; where this one comes back, as long as it takes",
       .rules = time([](auto& s) -> auto& { return s.server.drain.retry_after_ms; }, second, ms, 0, day)},
      {.name = "spin-us",
       .means = "how long a shard that is usually busy again within this time looks for more before it sleeps; 0 is never",
       .reason = "a wake-up costs more",
       .rules = time([](auto& s) -> auto& { return s.server.spin_us; }, 1, 1, 0, ms)},
      {.name = "coalesce-wait-us",
       .means = "after a loop turn that served 8 or more members of rooms, the longest wait for more messages; 0 is never",
       .reason = "each send carries more",
       .rules = time([](auto& s) -> auto& { return s.server.coalesce_wait_us; }, 1, 1, 0, 10 * ms)},
  };
}

} // namespace ringcast::declared
