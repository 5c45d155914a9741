// The memory ledger of a shard: what it holds for its peers, whose it is, and what happens above the bound. One a shard, on its thread.
//
// The total costs nothing per message: blocks are counted by their pool, everything else that peers make grow keeps its share of
// held_bytes_of_thread. Whose it is is found by a walk over the connections, only while the total is above the bound. The walk decides: memory that
// belongs to nobody (a room's log that members of another shard need, a record on its way) ends nobody here.
#pragma once

#include "engine/base/block_pool.hpp"
#include "engine/base/limits.hpp"
#include "engine/connection/compressor.hpp"
#include "engine/connection/connection.hpp"
#include "engine/connection/shard_connections.hpp"
#include "engine/mesh/mesh.hpp"
#include "engine/room/outbox.hpp"
#include "engine/shard/connection_timers.hpp"
#include "engine/shard/receive_memory.hpp"
#include "engine/shard/session_endpoint.hpp"
#include "engine/shard/shard_counters.hpp"
#include "engine/shard/turn_clock.hpp"

#include <cstdint>
#include <new>
#include <string_view>
#include <utility>

namespace ringcast::engine {

class closer;
class http_side;
class input_flow;
class upgrader;
class websocket_side;

class memory_ledger {
 public:
  struct needs {
    std::uint64_t bytes_max;
    shard_connections& connections;
    block_pool& blocks;
    compressor& deflater;
    receive_memory& memory;
    const mesh_port& port;
    outbox& output;
    const session_endpoints& sessions;
    timer_wheel& wheel;
    const upgrader& upgrades;
    input_flow& input;
    http_side& http;
    websocket_side& websockets;
    closer& closing;
    const turn_clock& clock;
    shard_counters& counters;
  };
  explicit memory_ledger(const needs& with) : with_(with) {}

  [[nodiscard]] std::uint64_t held_bytes() const;
  [[nodiscard]] std::uint64_t held_bytes_max() const { return with_.bytes_max; }
  // Runs what takes memory of a size that this peer decides. Where there is none, the connection ends.
  template <class Work> void spend(connection& c, Work&& work) {
    try {
      work();
    } catch (const std::bad_alloc&) {
      on_refused(c);
    }
  }
  void on_refused(connection& c) noexcept;
  // The turn has found something to do; connections were released.
  void note_busy_turn() { ++busy_turns_; }
  void note_freed() { purge_owed_ = true; }

  // A step of a turn.
  void bound() {
    if (held_bytes() > with_.bytes_max) [[unlikely]]
      end_debtors();
    if (!trim_timer_.armed() && (purge_owed_ || with_.blocks.kept_bytes() > pool_bytes_at_rest)) arm_trim();
  }
  void on_trim();

 private:
  void end_debtors();
  void end_debtor(connection& c, std::string_view why);
  [[nodiscard]] std::uint64_t debt_of(const connection& c) const;
  [[nodiscard]] const session_endpoint* session_endpoint_of(const connection& c) const;
  void arm_trim() { with_.wheel.arm(trim_timer_, with_.clock.ms + trim_interval_ms); }

  const needs with_;
  timer_node trim_timer_ = timer_of(shard_timer::trim);
  bool purge_owed_ = false;           // memory went to the allocator that it may still keep from the kernel
  std::uint32_t busy_turns_ = 0;      // that found something to do, since the last look
  std::uint64_t debtors_next_ms_ = 0; // when a search that found nobody is tried again
  std::uint64_t debtors_said_ms_ = 0;
};

} // namespace ringcast::engine
