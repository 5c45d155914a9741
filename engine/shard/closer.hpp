// How connections of a shard end, in named steps. One a shard, on its thread.
//
//   finish   no more input is handled; what is queued is sent, then the write side is shut down and the peer's end of stream awaited
//   end      the socket is shut down both ways, which completes whatever the kernel still holds for it
//   release  nothing is in flight any more: the descriptor is closed and the slot is free for its next generation
#pragma once

#include "engine/connection/connection.hpp"
#include "engine/connection/shard_connections.hpp"
#include "engine/io/ring.hpp"
#include "engine/room/outbox.hpp"
#include "engine/room/room_table.hpp"
#include "engine/shard/client_seats.hpp"
#include "engine/shard/connection_timers.hpp"
#include "engine/shard/handlers.hpp"
#include "engine/shard/shard_counters.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ringcast::engine {

class access_book;
class acceptor;
class connector;
class http_side;
class input_flow;
class memory_ledger;
class message_compression;
class proxied_input;
class socket_reader;
class tls_layer;
class upgrader;

class closer {
 public:
  struct needs {
    shard_connections& connections;
    ring& io;
    connection_timers& timers;
    outbox& output;
    room_table& rooms;
    handlers& users;
    const server_limits& limits;
    client_seats& seats;
    acceptor& accepting;
    socket_reader& receiving;
    input_flow& input;
    tls_layer& tls;
    http_side& http;
    proxied_input& proxied;
    upgrader& upgrades;
    connector& connecting;
    message_compression& compression;
    memory_ledger& ledger;
    access_book& access;
    shard_counters& counters;
  };
  explicit closer(const needs& with) : with_(with) {}

  void finish(connection& c);
  void end(connection& c, std::uint16_t code, std::string_view reason);
  // Ends it, and what the peer has not taken by now is dropped.
  void give_up(connection& c, std::uint16_t code, std::string_view reason);
  // Bytes that were handed to the kernel and that the peer has not acknowledged, without our end of stream.
  [[nodiscard]] static std::size_t unsent_payload(const connection& c);
  void release_if_done(connection& c);
  // Of one that is finishing: TCP has taken all that waited.
  void on_all_sent(const connection& c) { finishing_.push_back(with_.connections.handle_of(c)); }
  // The last answers of a connection that ends are still being taken, not too slowly.
  [[nodiscard]] bool is_draining(const connection& c);

  // A handler that wants to hear of it keeps the seats until it has; nothing is sent from them meanwhile.
  void leave_rooms(connection& c);
  // The endpoint hears of the end once, and only if it hears of the beginning.
  void tell_closed(connection& c, std::string_view reason);

  // --- steps of a turn ---
  // Runs when the failures of the last flush are known: whoever has no backlog has been sent everything.
  void shut_down_finished();
  // A connection is released at one place of the turn only, so that nobody above on the stack still holds it.
  void release_ended();
  [[nodiscard]] bool has_work() const { return !finishing_.empty() || !ended_.empty(); }

 private:
  // It leaves its phase for the last one or two.
  void count_ending(const connection& c);
  void shut_down_one(connection& c);
  void release(connection& c);

  const needs with_;
  std::vector<connection_handle> finishing_, ended_;
  std::unordered_map<std::uint32_t, std::uint64_t> draining_; // by slot: what the peer had still to take when its timer looked last
};

} // namespace ringcast::engine
