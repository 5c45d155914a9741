// Receives, in their modes: multishot into provided buffers, or polled and read into one hot buffer where frames are large; parked until
// there is a buffer, paused while nobody takes the input. What to do with the bytes is decided by `input_flow`. One a shard, on its thread.
#pragma once

#include "engine/connection/connection.hpp"
#include "engine/connection/shard_connections.hpp"
#include "engine/io/buffer_ring.hpp"
#include "engine/io/ring.hpp"
#include "engine/shard/input_share.hpp"
#include "engine/shard/receive_memory.hpp"
#include "engine/shard/shard_counters.hpp"
#include "engine/shard/turn_budget.hpp"
#include "engine/shard/turn_clock.hpp"

#include <vector>

namespace ringcast::engine {

class closer;
class input_flow;
class memory_ledger;

class socket_reader {
 public:
  struct needs {
    shard_connections& connections;
    ring& io;
    buffer_ring& buffers;
    receive_memory& memory;
    turn_budget& budget;
    const input_share& share;
    input_flow& input;
    closer& closing;
    memory_ledger& ledger;
    const turn_clock& clock;
    shard_counters& counters;
  };
  explicit socket_reader(const needs& with) : with_(with) {}

  // From the end of this turn on its input is received.
  void arm(connection& c);
  // Nothing of it is received until resume(), or hardly anything more.
  void pause(connection& c);
  void resume(connection& c);
  // A connection that sends large frames is read straight into one hot buffer from now on: provided buffers would be walked through once
  // each and leave the cache.
  void read_large_frames_hot(connection& c);

  void on_receive(op_tag tag, const completion& done);
  void on_poll(op_tag tag, const completion& done);
  // Reads what is there, without a completion: of a connection that is polled.
  void receive_hot(connection& c);

  // --- steps of a turn ---
  // Of connections that are polled and were resumed.
  void poll_again();
  void cancel_receives();
  void rearm_parked();
  [[nodiscard]] bool has_work() const { return !poll_again_.empty() || !parked_.empty(); }

 private:
  void on_bytes(connection& c, const completion& done, std::span<std::byte> bytes);
  void arm_what_follows(connection& c);

  const needs with_;
  std::vector<connection_handle> parked_, parked_before_; // armed at the end of the turn
  std::vector<connection_handle> poll_again_;
  std::vector<op_tag> cancels_; // receives to be cancelled behind the turn's sends
};

} // namespace ringcast::engine
