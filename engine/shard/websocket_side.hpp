// Frames, messages and the closing handshake of a shard's WebSocket connections, in both directions. One a shard, on its thread.
#pragma once

#include "engine/connection/connection.hpp"
#include "engine/connection/shard_connections.hpp"
#include "engine/room/outbox.hpp"
#include "engine/room/room_table.hpp"
#include "engine/shard/client_runner.hpp"
#include "engine/shard/client_seats.hpp"
#include "engine/shard/connection_rules.hpp"
#include "engine/shard/connection_timers.hpp"
#include "engine/shard/consumed.hpp"
#include "engine/shard/handlers.hpp"
#include "engine/shard/input_share.hpp"
#include "engine/shard/shard_counters.hpp"
#include "engine/shard/stop_state.hpp"
#include "engine/shard/turn_budget.hpp"
#include "engine/shard/turn_clock.hpp"
#include "proto/event_stream.hpp"
#include "proto/frame_reader.hpp"
#include "proto/message_assembler.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace ringcast::engine {

class closer;
class connection_watch;
class input_flow;
class message_compression;
class rate_gate;
class socket_reader;

class websocket_side {
 public:
  struct needs {
    shard_connections& connections;
    const connection_rules& rules;
    turn_budget& budget;
    const input_share& share;
    connection_timers& timers;
    outbox& output;
    room_table& rooms;
    handlers& users;
    client_seats& seats;
    const std::unique_ptr<client_runner>& clients;
    socket_reader& receiving;
    input_flow& input;
    connection_watch& watch;
    rate_gate& rates;
    message_compression& compression;
    closer& closing;
    const stop_state& stop;
    const turn_clock& clock;
    shard_counters& counters;
  };
  explicit websocket_side(const needs& with) : with_(with) {}

  // --- received: websocket_input.cpp ---
  [[nodiscard]] consumed consume_frames(connection& c, std::span<std::byte> bytes);
  // The same for an endpoint that takes messages as they come: websocket_parts.cpp.
  [[nodiscard]] consumed consume_parts(connection& c, std::span<std::byte> bytes);
  // A text that comes slowly is judged as it comes. False where the frame that has not come whole broke a rule.
  bool check_unfinished_text(connection& c, std::span<const std::byte> bytes, const frame_rules& rules, std::uint64_t message_bytes_max);
  // The peer's Close frame is answered, or the connection failed for a rule that the peer broke.
  void say_close(connection& c, violation broken);

  // --- sent: websocket_output.cpp ---
  send_status send(connection& c, opcode op, std::span<const std::byte> payload);
  // A message goes out in fragments (RFC 6455 5.4): no other may stand between them, so the connection may sit in no room, and what is sent meanwhile is
  // refused with send_status::in_message. False if it sits in one, has begun one already, or is over.
  [[nodiscard]] bool begin_message(connection& c);
  // The first one has the message's opcode, all others continuation.
  send_status send_fragment(connection& c, opcode op, std::span<const std::byte> payload, bool is_last);
  // A message that was received goes back from where it stands, if it is large.
  send_status send_in_place(connection& c, const message_view& message);
  send_status publish(connection& c, room_part& r, opcode op, std::span<const std::byte> payload);
  // An event with a name and an id of an event stream; closed for a WebSocket.
  send_status send_event(connection& c, const stream_event& event);
  // Begins the closing handshake. An event stream has none: it ends.
  void close(connection& c, std::uint16_t code, std::string_view reason);
  // Says Close and waits for no answer.
  void fail(connection& c, std::uint16_t code, std::string_view reason);

 private:
  [[nodiscard]] assembled take_unfinished(connection& c, const frame& whole, std::uint64_t message_bytes_max);
  void on_message(connection& c, const assembled& m, bool in_receive_buffer);
  void on_compressed_message(connection& c, const assembled& m);
  void hand_over(connection& c, const message_view& view);
  void hand_over_part(connection& c, const message_view& part); // from another file than the hot loop, into which hand_over() is inlined
  void on_fragment_or_control(connection& c, const assembled& m);
  void on_control(connection& c, const assembled& m);
  void on_close_frame(connection& c, std::span<const std::byte> payload);
  void on_violation(connection& c, violation broken);

  [[nodiscard]] bool takes_output(const connection& c) const;
  // queued, or why a message cannot be sent now.
  [[nodiscard]] send_status may_send_message(const connection& c) const;
  void append_event(connection& c, const stream_event& event);
  void append_frame(connection& c, opcode op, std::span<const std::byte> payload);
  void append_masked_frame(connection& c, opcode op, std::span<const std::byte> payload);
  void append_close(connection& c, std::uint16_t code, std::string_view reason);
  void append_stream_end(connection& c, std::uint16_t code, std::string_view reason);

  const needs with_;
};

} // namespace ringcast::engine
