// What the home of a room knows of it beyond the room itself where the room is of the cluster: where the home stands with the engine
// (cluster/cluster_engine), and what waits for that. The sequence number and the epoch are those of the home_room.
#pragma once

#include "engine/cluster/batch.hpp"
#include "engine/room/records.hpp"
#include <ringcast/position.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace ringcast::engine {

struct clustered {
  // From one to the next, and back to `asking` when something does not fit.
  enum class step : std::uint8_t {
    apart,       // not subscribed, or there is no engine
    subscribing, // asked for
    asking,      // where the room stands
    reading,     // what is missing up to `wanted`
    live,        // what comes is what follows
  };
  // Somebody who wants a seat before it is known where the room stands.
  struct waiting_claim {
    std::uint32_t shard;
    claim_record claim;
    std::string name;
  };
  // What came while it could not be appended yet.
  struct held_batch {
    std::uint64_t epoch, first;
    std::uint32_t messages;
    bool asked; // the engine was asked where the room stands since it came
    std::vector<std::byte> bytes;
  };
  // Of each message of this turn's batch, or of one on its way.
  struct author {
    std::uint32_t shard;
    std::uint32_t report_id; // 0: no report wanted
    std::uint64_t connection;
    bool hears;
  };
  static constexpr std::size_t held_bytes_max = 1u << 20; // what is beyond it is read again

  step at = step::apart;
  bool is_known = false; // sequence number and epoch are the engine's
  bool is_compared = false; // the engine was asked where the room stands, although nothing seems to be missing
  bool told_lost = false;
  bool is_sending = false; // listed for this turn
  std::uint64_t wanted = 0;
  std::uint64_t checked_ms = 0;
  std::uint64_t empty_since_ms = 0;
  std::size_t place = 0; // in the list of all rooms of the cluster
  std::vector<waiting_claim> claims;
  std::deque<held_batch> held;
  std::size_t held_bytes = 0;
  batch_writer batch; // of this turn
  std::vector<author> authors;
  std::vector<std::uint64_t> sent; // batches whose end is not known
};

} // namespace ringcast::engine
