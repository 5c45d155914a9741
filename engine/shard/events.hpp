// The event face: what a program registers for a path, and what it holds while one of its callbacks runs. No coroutine and no memory per
// connection; the hot endpoints of ringcast-server are written with it.
//
// Threads: every callback runs on the shard that owns the connection, one at a time for that shard. It must not block. It may call
// everything, for its own connection and for others of its shard: close them, send to them, broadcast. What that leads to is told to the
// callbacks concerned later, and not from within the call: the end of a connection in the same turn, what a broadcast does to slow members
// in a later one. A callback that throws, whatever it throws, closes its own connection with 1011, or has its request answered 500, and is
// logged with the place where its endpoint was registered.
#pragma once

#include "engine/base/send_status.hpp"
#include "engine/connection/compression.hpp"
#include "engine/io/connection_handle.hpp"
#include "engine/io/socket.hpp"
#include "engine/room/room.hpp"
#include "proto/http_head.hpp"
#include "proto/http_status.hpp"
#include "proto/opcode.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ringcast {

class shard;
struct connection;

// A message as it was received: a view. In a callback it is valid until that returns, in a coroutine until its next receive (websocket.hpp).
// Text is valid UTF-8.
struct message_view {
  opcode op = opcode::text;
  std::span<std::byte> payload;
  bool in_receive_buffer = false; // there is room for a frame's header right before it, so an answer can be framed in place

  [[nodiscard]] std::string_view text() const { return {reinterpret_cast<const char*>(payload.data()), payload.size()}; }
};

// A connection, while a callback runs. To name it later, or on another thread, keep its handle().
class websocket_ref {
 public:
  websocket_ref(shard& s, connection& c) : shard_(&s), connection_(&c) {}

  // queued, above_watermark, or closed: the connection is closing or gone.
  send_status send(opcode op, std::span<const std::byte> payload);
  send_status send_text(std::string_view text) { return send(opcode::text, std::as_bytes(std::span{text})); }
  // Sends a received message back. One of 8 KiB or more (large_frame_bytes) is framed where it stands and given to TCP at once, not copied,
  // unless the connection is encrypted, deflates, or has other output waiting.
  send_status send(const message_view& message);
  void close(std::uint16_t code, std::string_view reason);

  // To everybody in the room that this connection joined first; closed if it is in none.
  send_status broadcast(opcode op, std::span<const std::byte> payload);
  [[nodiscard]] const std::string* name_in_room() const;

  [[nodiscard]] connection_handle handle() const;
  [[nodiscard]] socket_address peer() const;
  [[nodiscard]] void*& user();
  [[nodiscard]] shard& owner() const { return *shard_; }
  [[nodiscard]] connection& state() const { return *connection_; }

 private:
  shard* shard_;
  connection* connection_;
};

using path_parameters = std::vector<std::pair<std::string, std::string>>;

// A request, while its handler runs.
struct http_request {
  const request_head& head;
  const path_parameters& parameters; // percent-decoded
  std::span<const std::byte> body;
  socket_address peer;

  [[nodiscard]] std::string_view parameter(std::string_view name) const;
  [[nodiscard]] std::optional<std::string> query(std::string_view name) const;
};

// What an endpoint decides about an upgrade.
class upgrade_request_view {
 public:
  upgrade_request_view(const http_request& request) : request_(request) {}
  [[nodiscard]] const http_request& request() const { return request_; }

  void refuse(http_status status, std::string_view why) { refused_ = status, why_ = why; }
  // The connection takes a seat in this room when it opens. With a name the seat is only granted if nobody in the room has that name. A name
  // that cannot be one (names.hpp) refuses the upgrade with 400 and says why. When on_open is called, the room's home knows of the
  // seat: whatever anybody publishes from then on is heard.
  void take_seat(std::string_view room, hearing hears = hearing::everyone, std::string_view name = {});
  // What websocket_ref::user() will be. It comes back once: with on_close(), or with on_discard() where the upgrade comes to nothing.
  void set_user(void* user) { user_ = user; }

 private:
  friend class upgrader;
  const http_request& request_;
  http_status refused_ = http_status::switching_protocols;
  std::string why_, room_, name_;
  void* user_ = nullptr;
  hearing hears_ = hearing::everyone;
  bool seat_wanted_ = false;
};

struct websocket_endpoint {
  std::function<void(upgrade_request_view&)> on_upgrade;
  // What on_upgrade had given to set_user() has found no WebSocket, for whatever reason: refused by on_upgrade itself or because it threw,
  // the name was taken, the peer had gone, the server is ending. Neither on_open nor on_close will be called with it.
  std::function<void(void* user)> on_discard{};
  std::function<void(websocket_ref)> on_open;
  std::function<void(websocket_ref, const message_view&)> on_message;
  // TCP has taken a part of a backlog, and at most low_watermark_bytes of own output are left: after above_watermark it is time to go on.
  std::function<void(websocket_ref)> on_drain;
  // A ping or a pong has come. A ping is answered behind this, unless answers_pings is false.
  std::function<void(websocket_ref, opcode, std::span<const std::byte>)> on_control;
  bool answers_pings = true;
  // In place of the server's limits; 0: never.
  std::optional<std::uint32_t> ping_interval_ms{}, pong_timeout_ms{}, idle_timeout_ms{};
  // In place of server_options::allowed_origins, unless it is empty.
  std::vector<std::string> allowed_origins{};
  // The room's slow-consumer policy took the messages with these sequence numbers, first and last included, from the connection. What is
  // sent now stands in front of the message behind the gap.
  std::function<void(websocket_ref, std::uint64_t first, std::uint64_t last)> on_gap;
  // The connection is about to leave its room: it may still publish there, and the others will hear it.
  std::function<void(websocket_ref)> on_leave;
  // The connection is over. The code is the peer's, ours, or 1006 if there was no closing handshake.
  std::function<void(websocket_ref, std::uint16_t code, std::string_view reason)> on_close;
  std::vector<std::string> subprotocols; // in order of preference
  // In place of the server's options.
  std::optional<compression_options> compression{};
  std::source_location registered_at{}; // for the log; http_router::add() fills it in
  // Of the library's own endpoints: their on_drain and on_close touch nothing but what is behind user(), so the closer and the shard have them called at once
  // and does not note them for handlers::run().
  bool is_internal = false;
};

// The right to answer one request, once, now or later, on the connection's shard.
class http_responder {
 public:
  http_responder(shard& s, connection_handle c) : shard_(&s), connection_(c) {}
  void respond(http_status status, std::string_view content_type, std::string_view body, std::string_view extra_headers = {});
  void respond_json(http_status status, std::string_view json) { respond(status, "application/json", json); }
  void respond_error(http_status status, std::string_view why);
  [[nodiscard]] shard& owner() const { return *shard_; }
  [[nodiscard]] connection_handle handle() const { return connection_; }

 private:
  shard* shard_;
  connection_handle connection_;
};

using http_handler = std::function<void(const http_request&, http_responder)>;

// {"error":"..."} with the text escaped.
[[nodiscard]] std::string json_error(std::string_view why);
void append_json_string(std::string& out, std::string_view text);

} // namespace ringcast
