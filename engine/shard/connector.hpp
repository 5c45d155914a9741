// The client role of a shard's connections, up to the open WebSocket: TCP, the proxy, TLS, the upgrade. From then on a client's connection
// is received, timed and closed like a server's; what differs there is asked of connection::is_client. One a shard, on its thread.
#pragma once

#include "engine/connection/connection.hpp"
#include "engine/connection/shard_connections.hpp"
#include "engine/io/ring.hpp"
#include "engine/io/socket.hpp"
#include "engine/room/outbox.hpp"
#include "engine/shard/client_runner.hpp"
#include "engine/shard/client_seats.hpp"
#include "engine/shard/connection_timers.hpp"
#include "engine/shard/consumed.hpp"
#include "engine/shard/handlers.hpp"
#include "engine/shard/shard_counters.hpp"
#include "engine/shard/turn_clock.hpp"

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string_view>

namespace ringcast::engine {

class closer;
class input_flow;
class message_compression;
class socket_reader;
class tls_layer;
class websocket_side;

class connector {
 public:
  struct needs {
    shard_connections& connections;
    client_seats& seats;
    const std::unique_ptr<client_runner>& clients;
    ring& io;
    timer_wheel& wheel;
    connection_timers& timers;
    outbox& output;
    handlers& users;
    socket_reader& receiving;
    input_flow& input;
    tls_layer& tls;
    websocket_side& websockets;
    message_compression& compression;
    closer& closing;
    const turn_clock& clock;
    shard_counters& counters;
  };
  explicit connector(const needs& with) : with_(with) {}

  // Begins to connect: the link hears how it went, once. A link may try several addresses at the same time, until one is connected. The deadline
  // is that of the open WebSocket. Where there is not even a socket for it, that is the answer: an errno.
  [[nodiscard]] std::expected<connection_handle, int> connect(client_link& link, const socket_address& to, std::uint64_t deadline_ms);
  // The link will not be told anything any more; an open WebSocket is closed with this code, an attempt is given up.
  void let_go(connection_handle handle, std::uint16_t code, std::string_view reason);
  void hold_input(connection_handle handle, bool hold);

  void on_connect(op_tag tag, const completion& done);
  [[nodiscard]] consumed consume_response(connection& c, std::span<std::byte> bytes);
  void on_tls_open(connection& c);
  void on_tls_failed(connection& c);
  void on_timer(connection& c);
  // The connection ends: where it was an attempt that nobody has reported yet, its link hears of it.
  void end_attempt(connection& c, std::string_view reason);

 private:
  void on_way_open(connection& c);
  void begin_upgrade(connection& c);
  void on_response(connection& c, const response_head& head);
  void on_proxy_response(connection& c, const response_head& head);
  void fail_attempt(connection& c, const client_error& error);
  void note_failed_attempt(connection& c, const client_error& error);

  const needs with_;
};

} // namespace ringcast::engine
