// What a shard counts: only its thread writes it, and other shards and threads are given a copy (server_questions). What its parts below count by
// themselves, and what it holds, is 0 here: shard::statistics() fills that in.
#pragma once

#include <ringcast/statistics.hpp>

#include <cstddef>
#include <cstdint>

namespace ringcast::engine {

struct shard_counters : shard_statistics {
  // What was still to be sent when the close timeout of a stop was over.
  std::uint64_t unsent_messages = 0;  // of rooms
  std::uint64_t unsent_own_bytes = 0; // of other output
  std::uint64_t unsent_connections = 0;

  void count(refusal why) { ++refusals[static_cast<std::size_t>(why)]; }
};

} // namespace ringcast::engine
