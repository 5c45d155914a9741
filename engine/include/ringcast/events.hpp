// The event face: what a program registers for a path, and what it holds while one of its callbacks runs. No coroutine and no memory per
// connection; the hot endpoints of ringcast-server are written with it.
//
// Threads: every callback runs on the shard that owns the connection, one at a time for that shard. It must not block. It may call
// everything, for its own connection and for others of its shard: close them, send to them, broadcast. What that leads to is told to the
// callbacks concerned later, and not from within the call: the end of a connection in the same turn, what a broadcast does to slow members
// in a later one. A callback that throws, whatever it throws, closes its own connection with 1011, or has its request answered 500, and is
// logged with the place where its endpoint was registered.
#pragma once

#include <ringcast/address.hpp>
#include <ringcast/broadcast.hpp>
#include <ringcast/cluster.hpp>
#include <ringcast/compression.hpp>
#include <ringcast/connection_handle.hpp>
#include <ringcast/detail/byte_source.hpp>
#include <ringcast/http_status.hpp>
#include <ringcast/message.hpp>
#include <ringcast/opcode.hpp>
#include <ringcast/position.hpp>
#include <ringcast/rate_limits.hpp>
#include <ringcast/results.hpp>
#include <ringcast/tls.hpp>

#include <chrono>
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

struct request_head; // of the protocol's own parser

namespace engine {
class http_router;
class shard;
struct connection;
struct handle_access;
} // namespace engine

// A seat in a room as somebody wants it.
struct seat_wish {
  hearing hears = hearing::everyone;
  std::string_view name = {};          // the seat is only granted if nobody in the room has this name; empty: none is wanted
  // As whom it sits there: one user may have many connections. A valid name like a member's (names.hpp); empty: as nobody.
  std::string_view user = {};
  // It is told which users come and go (server_options::presence): by text messages {"joined":"ID"} and {"left":"ID"}, once for each user, or
  // {"users":N,"connections":N} where that would be too many; an event stream by events "presence". Behind what is sent in on_open.
  bool watches_users = false;
  bool numbered = false; // each message has its number in front: in text as decimal digits and a line feed, else in 8 bytes, big-endian
  bool position = false; // websocket_ref::joined() says where it joined
  std::optional<replay_options> replay = {}; // what was said before is heard first; implies `position`
};

// What became of websocket_ref::join().
struct join_result {
  std::string_view room;         // valid until the callback returns
  bool granted = false;
  std::string_view why_not = {}; // in words: the name is taken, the room is full, it sits there already, there is no memory
  joined_position joined = {};   // if seat_wish::position or replay was set; else epoch 0
};

// A connection, while a callback runs. To name it later, or on another thread, keep its handle().
class websocket_ref {
 public:
  // queued, above_watermark, or closed: the connection is closing or gone. To an event stream: an event without a name and id.
  send_status send(opcode op, std::span<const std::byte> payload);
  send_status send_text(std::string_view text) { return send(opcode::text, std::as_bytes(std::span{text})); }
  send_status send(std::string_view text) { return send_text(text); }
  send_status send_binary(std::span<const std::byte> bytes) { return send(opcode::binary, bytes); }
  template <engine::byte_source Bytes> send_status send_binary(const Bytes& bytes) { return send_binary(engine::bytes_of_source(bytes)); }
  // Sends a received message back. One of 8 KiB or more (large_frame_bytes) is framed where it stands and given to TCP at once, not copied,
  // unless the connection is encrypted, deflates, or has other output waiting.
  send_status send(const message_view& message);
  // An event stream is told by an event "close", {"code":N,"reason":"..."}, and ends; an EventSource comes back by itself.
  void close(std::uint16_t code, std::string_view reason);
  // Closes it so in this time, to the millisecond, unless it is called again before, or keep_open() is: where a right to be here ends. Until the
  // connection is over the shard keeps some 100 bytes for it. Nothing happens to one that is closing.
  void close_after(std::chrono::milliseconds time, std::uint16_t code, std::string_view reason);
  void keep_open();
  // Whether this is not a WebSocket but a stream of server-sent events; see websocket_endpoint::event_streams.
  [[nodiscard]] bool is_event_stream() const;
  // An event with a name, and an id unless it is empty; both without line ends. closed for a WebSocket.
  send_status send_event(std::string_view name, std::string_view text, std::string_view id = {});

  // To everybody in the room that this connection joined first; closed if it is in none.
  send_status broadcast(opcode op, std::span<const std::byte> payload);
  // To everybody in that room, as one of its members; closed if it is none.
  send_status broadcast(std::string_view room, opcode op, std::span<const std::byte> payload);

  // Takes a seat in a room, at any time, beside those that it has. `on_answer` is called in a later turn, on this shard: when it says `granted`, the
  // room's home knows of the seat, and whatever anybody publishes from then on is heard; what is sent in it stands in front of what was said before.
  // Not called if the connection has gone meanwhile; what it throws closes the connection. queued; closed; invalid_name (room, name or user); full:
  // it sits in rooms_per_connection_max rooms; in_message.
  send_status join(std::string_view room, const seat_wish& wish = {}, std::function<void(websocket_ref, const join_result&)> on_answer = {});
  // Nothing happens if it is not there.
  void leave(std::string_view room);
  // Those that it sits in, the newest first.
  [[nodiscard]] std::vector<std::string_view> rooms() const;
  static constexpr std::size_t rooms_per_connection_max = 1024; // a send of a connection that is behind looks at each
  [[nodiscard]] const std::string* name_in_room() const;
  // The room that this connection joined first; null if it is in none.
  [[nodiscard]] const std::string* room_name() const;
  // Where this connection joined the room that it joined first; nothing unless seat_wish::position was set.
  [[nodiscard]] std::optional<joined_position> joined() const;

  [[nodiscard]] connection_handle handle() const;
  [[nodiscard]] socket_address peer() const;
  // What was agreed on in TLS; nothing on a connection without it.
  [[nodiscard]] std::optional<tls_details> tls() const;
  // The program's own; null until it is set, here or by upgrade_request_view::set_user().
  [[nodiscard]] void*& user();

 private:
  friend struct engine::handle_access;
  websocket_ref(engine::shard& s, engine::connection& c) : shard_(&s), connection_(&c) {}

  engine::shard* shard_;
  engine::connection* connection_;
};

using path_parameters = std::vector<std::pair<std::string, std::string>>;

// A request, while its handler runs: views that are valid until it returns.
class http_request {
 public:
  const path_parameters& parameters; // percent-decoded
  std::span<const std::byte> body;
  socket_address peer;
  bool is_admin; // it came by one of server_options::listen_admin

  [[nodiscard]] std::string_view method() const noexcept; // "GET"; case matters
  [[nodiscard]] std::string_view target() const noexcept; // path and query as received
  // The first header of that name, without regard to case; empty if there is none.
  [[nodiscard]] std::string_view header(std::string_view name) const noexcept;
  // What stands in the place of {name} in the route; empty if the route has no such segment.
  [[nodiscard]] std::string_view parameter(std::string_view name) const;
  // A parameter of the query, decoded; nothing if there is none.
  [[nodiscard]] std::optional<std::string> query(std::string_view name) const;
  // What was agreed on in TLS; nothing on a connection without it, and when that has gone (deferred_request).
  [[nodiscard]] std::optional<tls_details> tls() const;

 private:
  friend struct engine::handle_access;
  http_request(const request_head& head, const path_parameters& decoded, std::span<const std::byte> received, const socket_address& from,
               bool by_admin, const engine::connection* by)
      : parameters(decoded), body(received), peer(from), is_admin(by_admin), head_(head), connection_(by) {}

  const request_head& head_;
  const engine::connection* connection_; // null: it has gone
};

// What an endpoint decides about an upgrade.
class upgrade_request_view {
 public:
  [[nodiscard]] const http_request& request() const { return request_; }
  // It asks for an event stream and not for a WebSocket.
  [[nodiscard]] bool is_event_stream() const { return event_stream_; }

  void refuse(http_status status, std::string_view why) { made_.refused = status, made_.why = why; }
  // The connection takes a seat in this room when it opens. With a name the seat is only granted if nobody in the room has that name. A name
  // that cannot be one (names.hpp) refuses the upgrade with 400 and says why. When on_open is called, the room's home knows of the
  // seat: whatever anybody publishes from then on is heard.
  void take_seat(std::string_view room, hearing hears = hearing::everyone, std::string_view name = {}) {
    take_seat(room, seat_wish{.hears = hears, .name = name});
  }
  // What is sent in on_open stands in front of what was said before.
  void take_seat(std::string_view room, const seat_wish& wish);
  // A header of the answer, be it 101 or a refusal: Set-Cookie, WWW-Authenticate. Throws as request::add_header() does.
  void add_header(std::string_view name, std::string_view value);
  // What websocket_ref::user() will be. It comes back once: with on_close(), or with on_discard() where the upgrade comes to nothing.
  void set_user(void* user) { made_.user = user; }

 private:
  friend struct engine::handle_access;
  struct decision {
    http_status refused = http_status::switching_protocols;
    std::string why, room, name, user_id, headers;
    void* user = nullptr;
    hearing hears = hearing::everyone;
    bool numbered = false;
    bool watches = false;
    std::optional<replay_options> replay{};
    bool seat_wanted = false;
  };
  upgrade_request_view(const http_request& request, bool event_stream) : request_(request), event_stream_(event_stream) {}

  const http_request& request_;
  bool event_stream_;
  decision made_;
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
  // In place of the server's limit; see server_limits.
  std::optional<std::uint64_t> message_bytes_max{};
  // Messages are not joined: on_message is given each part as it comes (message_view::is_last), so a message of any size holds no memory here. What a
  // part is has nothing to do with the peer's frames. A message above message_bytes_max closes with 1009 as soon as a header says so, maybe behind
  // parts that were given. Compression is not negotiated.
  bool in_parts = false;
  // In place of the server's limits; 0: never.
  std::optional<std::uint32_t> ping_interval_ms{}, pong_timeout_ms{}, idle_timeout_ms{};
  // In place of server_limits::rates.
  std::optional<rate_limits> rates{};
  // So many of its messages were dropped since this was called last because they came too fast (over_rate::drop, room_rules::messages); at most once a
  // second.
  std::function<void(websocket_ref, std::uint64_t messages)> on_dropped{};
  // In place of server_options::allowed_origins, unless it is empty.
  std::vector<std::string> allowed_origins{};
  // The room's slow-consumer policy took the messages with these sequence numbers, first and last included, from the connection. What is
  // sent now stands in front of the message behind the gap.
  std::function<void(websocket_ref, std::uint64_t first, std::uint64_t last)> on_gap;
  // A room of the cluster counts anew: the next message is the one behind this position, in another epoch than before, because what orders the room
  // has lost what it knew, or may have. What that was nobody can tell. In place of on_gap, and as that one in front of the next message.
  std::function<void(websocket_ref, const room_position& at)> on_reset{};
  // What orders a room of the cluster cannot be reached, or is back; or the last thing that this member said was not published, in which case the
  // room is not named, and without this callback the connection is closed with 1013.
  std::function<void(websocket_ref, std::string_view room, cluster_state what)> on_cluster{};
  // The server drains, and closes this connection with 1001 behind what is sent now. Whoever comes back after that time comes back to a server, and not
  // together with everybody else: see drain_options::retry_after_ms.
  std::function<void(websocket_ref, std::chrono::milliseconds retry_after)> on_going_away{};
  // The connection is about to leave its room: it may still publish there, and the others will hear it.
  std::function<void(websocket_ref)> on_leave;
  // The connection is over. The code is the peer's, ours, or 1006 if there was no closing handshake.
  std::function<void(websocket_ref, std::uint16_t code, std::string_view reason)> on_close;
  std::vector<std::string> subprotocols; // in order of preference
  // In place of the server's options.
  std::optional<compression_options> compression{};
  // A GET that accepts text/event-stream and asks for no upgrade opens a stream of server-sent events (WHATWG HTML 9.2), which is a member of
  // rooms like any other: messages of rooms are events with their position as id; binary ones are base64, in events named "binary". What it
  // sends is dropped, so on_message and on_control are not called for it; the ping interval is that of its comments. A peer that has gone is
  // found by TCP within ping interval and pong timeout. `numbered` and compression mean nothing to it.
  bool event_streams = false;
  std::source_location registered_at{}; // for the log; routes::add() fills it in
  // For the library's own endpoints: their on_drain and on_close touch nothing but what is behind user(), and are called at once.
  bool is_internal = false;
};

// The right to answer one request, once, now or later, on the connection's shard. A value; once the connection has gone, or the request was
// answered, its calls do nothing.
class http_responder {
 public:
  // `extra_headers` are whole lines with their CRLF.
  void respond(http_status status, std::string_view content_type, std::string_view body, std::string_view extra_headers = {});
  void respond_json(http_status status, std::string_view json) { respond(status, "application/json", json); }
  // {"error": why}
  void respond_error(http_status status, std::string_view why);
  [[nodiscard]] connection_handle handle() const { return connection_; }

 private:
  friend struct engine::handle_access;
  http_responder(engine::shard& s, connection_handle c) : shard_(&s), connection_(c) {}

  engine::shard* shard_;
  connection_handle connection_;
};

using http_handler = std::function<void(const http_request&, http_responder)>;

// Where a server's handlers are registered, before it starts; on a server that has started add() throws a std::logic_error. Patterns are
// literal segments, {name} segments that match one whole segment, and as the last one a * that matches all that follows, maybe nothing
// (parameter("*")); the first match wins. A route that no request could ever reach is an
// error of the program: server::start() fails with it, in words. Cheap to copy; valid as long as the server.
class routes {
 public:
  void add(std::string_view method, std::string_view pattern, http_handler handler,
           const std::source_location& where = std::source_location::current());
  void add(std::string_view pattern, websocket_endpoint endpoint, const std::source_location& where = std::source_location::current());
  // What is added to these is there for requests by server_options::listen_admin only; to all others there is nothing at that path. What is
  // added to the others is there for both.
  [[nodiscard]] routes admin() const { return routes{*to_, true}; }

 private:
  friend struct engine::handle_access;
  explicit routes(engine::http_router& to, bool admin_only = false) : to_(&to), admin_only_(admin_only) {}

  engine::http_router* to_;
  bool admin_only_;
};

// {"error":"..."} with the text escaped.
[[nodiscard]] std::string json_error(std::string_view why);
// The text as a JSON string, quotes included.
void append_json_string(std::string& out, std::string_view text);

} // namespace ringcast
