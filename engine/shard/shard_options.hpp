// What a shard is made with.
#pragma once

#include "engine/base/limits.hpp"
#include "engine/connection/compression_rules.hpp"
#include "engine/room/room_rulebook.hpp"
#include "engine/shard/admission.hpp"
#include "engine/shard/server_orders.hpp"
#include <ringcast/access.hpp>
#include <ringcast/events.hpp>
#include <ringcast/position.hpp>
#include <ringcast/rooms.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace ringcast::engine {

class arrival_rates;
class cluster_engine;
class ring;
class trusted_proxies;

struct shard_options {
  server_limits limits;
  admission* admits = nullptr; // shared by the shards of a server; null: no bound on connections
  arrival_rates* arrivals = nullptr; // shared by the shards of a server; null: they may come as fast as they can
  server_orders* orders = nullptr; // shared by the shards of a server; null: nobody gives any
  const trusted_proxies* proxies = nullptr; // shared by the shards of a server; null: none is trusted
  std::vector<std::string> admin_hosts;
  std::vector<std::string> allowed_origins;
  slow_consumer policy = slow_consumer::close;
  std::uint32_t coalesce_wait_us = 0; // the longest wait for more under load; 0: never
  std::uint64_t memory_bytes = shard_memory_bytes_default; // what may be held for peers; above it the largest debtors are ended
  std::uint32_t spin_us = 0;          // how long a shard that was busy looks for more before it sleeps; 0: not at all
  std::uint32_t slow_handler_ms = 0;  // user code that keeps the thread longer is named in the log; 0: nobody looks
  compression_options compression;
  presence_options presence;
  history_options history; // of all shards together, as programs give it
  room_patterns rooms_like; // first match
  bool all_rooms_of_cluster = false;
  // What orders the rooms of the cluster, made for each shard on whose ring it works. Empty: there is no cluster.
  std::function<std::unique_ptr<cluster_engine>(std::uint32_t shard, ring& io)> make_cluster{};
  access_taker on_access{}; // empty: nobody wants to know
};

} // namespace ringcast::engine
