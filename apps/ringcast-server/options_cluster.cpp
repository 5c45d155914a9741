// Options: rooms that are one over several servers.
#include "apps/ringcast-server/option_makers.hpp"

namespace ringcast::declared {

std::vector<option> cluster() {
  return {
      {.name = "cluster",
       .means = "rooms are one over all servers with the same `--cluster-redis` and `--cluster-prefix`: see [Several servers](#several-servers). In "
                "a file "
                "also for some rooms",
       .reason = "an engine costs a way and a machine",
       .rules = choice([](auto& s) -> auto& { return s.server.cluster.all_rooms; }, {"off", "on"})},
      {.name = "cluster-redis",
       .means = "what orders them: `redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE]`, a Redis or Valkey. Better in the environment than where `ps` "
                "shows it",
       .reason = "no room is of a cluster",
       .rules = text([](auto& s) -> auto& { return s.server.cluster.redis; }, "URL")},
      {.name = "cluster-prefix",
       .means = "in front of the names of its keys and channels",
       .reason = "nobody else uses it",
       .rules = text([](auto& s) -> auto& { return s.server.cluster.prefix; }, "TEXT")},
      {.name = "cluster-messages",
       .means = "of each room it keeps the last N messages, for servers that have missed some, and for the history of rooms",
       .reason = "a second of a busy room",
       .rules = number([](auto& s) -> auto& { return s.server.cluster.messages_kept; }, {.least = 1, .most = UINT32_MAX})},
      {.name = "cluster-seconds",
       .means = "a room in which nobody is and nobody says anything is forgotten there after this time",
       .reason = "a day of silence",
       .rules = time([](auto& s) -> auto& { return s.server.cluster.seconds_kept; }, second, second, second, 365 * day)},
      {.name = "cluster-ready",
       .means = "`on`: while a shard cannot reach it `GET /health/ready` says 503, so that a load balancer brings members to a server that can",
       .reason = "rooms that are no cluster's go on, and where nobody reaches it nobody would be ready",
       .rules = choice([](auto& s) -> auto& { return s.server.cluster.ready_needs_it; }, {"off", "on"})},
  };
}

} // namespace ringcast::declared
