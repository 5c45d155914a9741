// Which of the received bytes are handled now, and what waits: for the rest of a frame or request, for an answer that is being prepared, for
// whoever takes messages, for a later turn. It keeps what waits, and goes on with it. One a shard, on its thread.
#pragma once

#include "engine/base/block_pool.hpp"
#include "engine/connection/connection.hpp"
#include "engine/connection/shard_connections.hpp"
#include "engine/room/outbox.hpp"
#include "engine/shard/connection_rules.hpp"
#include "engine/shard/connection_timers.hpp"
#include "engine/shard/consumed.hpp"
#include "engine/shard/input_share.hpp"
#include "engine/shard/shard_counters.hpp"
#include "engine/shard/turn_budget.hpp"
#include "engine/shard/turn_clock.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ringcast::engine {

class closer;
class connector;
class http_side;
class memory_ledger;
class rate_gate;
class proxied_input;
class socket_reader;
class tls_layer;
class websocket_side;

class input_flow {
 public:
  struct needs {
    shard_connections& connections;
    block_pool& blocks;
    turn_budget& budget;
    input_share& share;
    const outbox& output;
    const connection_rules& rules;
    connection_timers& timers;
    const rate_gate& rates;
    socket_reader& receiving;
    proxied_input& proxied;
    tls_layer& tls;
    http_side& http;
    websocket_side& websockets;
    connector& connecting;
    closer& closing;
    memory_ledger& ledger;
    const turn_clock& clock;
    shard_counters& counters;
  };
  explicit input_flow(const needs& with) : with_(with) {}

  // Bytes as they came.
  void consume(connection& c, std::span<std::byte> bytes);
  // In clear text.
  void consume_plain(connection& c, std::span<std::byte> bytes);
  void on_end_of_stream(connection& c);

  // No further message is handled, and soon no byte read, until release(). What has been received waits, and TCP pushes back.
  void hold(connection& c);
  void release(connection& c);
  // on_open has been called: what has come behind the upgrade is read.
  void begin(connection& c);
  // What was kept of its input goes on in this turn or the next.
  void go_on(connection& c) { input_again_.push_back(with_.connections.handle_of(c)); }
  // Its share of the turn is used up, or its peer does not take its answers: the rest waits for a later turn.
  void stop(connection& c);
  // The same, and it is not looked at again before somebody says so, nor read.
  void pause(connection& c);
  // Who was stopped is looked at again.
  void look_again(const connection& c) { stopped_.push_back(with_.connections.handle_of(c)); }

  // Memory for so many bytes more of what is unfinished.
  void make_partial_room(partial_input& partial, std::size_t more);
  void free_partial(connection& c);

  // --- steps of a turn ---
  void begin_turn();
  // First those who were stopped, first come, first continued; then those whose input waited for something other than the kernel.
  void continue_stopped();
  void continue_waiting();
  [[nodiscard]] bool has_work() const { return !input_again_.empty() || !stopped_.empty() || !stopped_before_.empty(); }

 private:
  [[nodiscard]] consumed consume_once(connection& c, std::span<std::byte> bytes);
  void keep_partial(connection& c, std::span<const std::byte> bytes, std::uint64_t wanted);
  void resume(connection& c);

  const needs with_;
  std::vector<connection_handle> input_again_;
  std::vector<connection_handle> stopped_, stopped_before_; // in this turn, and in turns before
};

} // namespace ringcast::engine
