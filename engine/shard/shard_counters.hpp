// What a shard counts: only its thread writes them, and the simulation and the tests read them.
#pragma once

#include <cstdint>

namespace ringcast::engine {

struct shard_counters {
  std::uint64_t turns = 0;
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;
  std::uint64_t messages = 0;
  std::uint64_t violations = 0;
  std::uint64_t handlers_failed = 0;
  std::uint64_t receives_parked = 0;
  std::uint64_t sent_to_nobody = 0; // messages from other threads or rooms for connections that had gone
  std::uint64_t handshakes_refused = 0; // connections closed because too many TLS handshakes were in progress, or waited to begin
  std::uint64_t tls_failures = 0;
  std::uint64_t inputs_stopped = 0;         // connections that were continued in a later turn: their share was used up, or their peer does not read
  std::uint64_t resets = 0;             // connections that had not taken what was sent to them when their grace ended
  std::uint64_t ended_for_memory = 0;   // with 1013 or 503, because the shard held more than its bound and they the most of it
  std::uint64_t allocations_failed = 0; // each has ended a connection, or dropped a message of one
  std::uint64_t turns_held_by_overflow = 0; // that took no input before less waited for the lanes to other shards
  // What was still to be sent when the close timeout of a stop was over.
  std::uint64_t unsent_messages = 0;  // of rooms
  std::uint64_t unsent_own_bytes = 0; // of other output
  std::uint64_t unsent_connections = 0;
};

} // namespace ringcast::engine
