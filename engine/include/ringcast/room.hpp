// A room, as a program holds it: a name and the way to whoever is in it, on all shards. A value, cheap to make, usable on every thread
// (except join(), which is for the coroutine of the connection); it must not outlive its server.
//
//   room lobby = req.server().room(req.path("room"));
//   seat here = co_await lobby.join(req.query("name"), ws);
//   while (auto message = co_await ws.receive()) lobby.broadcast_text(message->text());
//
// Order: all members of a room see the same messages in the same order, on every shard. Messages of one thread stand in it in the order in
// which they were sent. A member sees what anybody publishes, on whichever thread, when its join() has been awaited.
//
// Names: of a room 1 to 128 bytes, of a member 1 to 64, UTF-8 without control characters (names.hpp). A room whose name is none is empty for
// ever: what is sent there is answered with send_status::invalid_name, nobody can join, and its count is 0; valid() says why.
#pragma once

#include <ringcast/broadcast.hpp>
#include <ringcast/connection_handle.hpp>
#include <ringcast/names.hpp>
#include <ringcast/opcode.hpp>
#include <ringcast/position.hpp>
#include <ringcast/results.hpp>
#include <ringcast/rooms.hpp>
#include <ringcast/task.hpp>
#include <ringcast/websocket.hpp>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <future>
#include <optional>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace ringcast {

class server;

namespace engine {
class shard;
struct handle_access;
enum class room_call_kind : std::uint8_t;
} // namespace engine

// How somebody joins.
struct join_options {
  hearing hears = hearing::everyone;
  bool numbered = false;                    // as seat_wish::numbered
  std::optional<replay_options> replay = {}; // what was said before is heard first
};

// The membership of a connection: it leaves the room when the seat is destroyed. Move-only; on the shard of its connection.
class seat {
 public:
  seat() noexcept = default;
  seat(seat&& other) noexcept
      : owner_(std::exchange(other.owner_, nullptr)), who_(other.who_), room_(other.room_), room_generation_(other.room_generation_),
        why_not_(other.why_not_), joined_(other.joined_) {}
  seat& operator=(seat&& other) noexcept;
  ~seat() { leave(); }

  // False after leave(), or if there was no seat to be had; why_not() says why in words.
  [[nodiscard]] explicit operator bool() const noexcept { return owner_ != nullptr; }
  [[nodiscard]] std::string_view why_not() const noexcept { return why_not_; }
  void leave() noexcept;
  // Where the connection joined, if join_options::replay was given; else epoch 0.
  [[nodiscard]] const joined_position& joined() const noexcept { return joined_; }
  // Publishes with this connection as the author: it does not hear itself if it joined so.
  send_status broadcast(opcode op, std::span<const std::byte> payload);
  send_status broadcast_text(std::string_view text) { return broadcast(opcode::text, std::as_bytes(std::span{text})); }

 private:
  friend class room;
  seat(engine::shard& owner, connection_handle who, std::uint32_t room, std::uint32_t generation) noexcept
      : owner_(&owner), who_(who), room_(room), room_generation_(generation) {}
  explicit seat(std::string_view why_not) noexcept : why_not_(why_not) {}

  engine::shard* owner_ = nullptr;
  connection_handle who_;
  std::uint32_t room_ = 0, room_generation_ = 0; // as its shard knows the room
  std::string_view why_not_; // of the program's own sentences
  joined_position joined_{};
};

class room {
 public:
  room(server& of, std::string_view name) : server_(&of), name_(name), valid_(check_room_name(name)) {}

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  // Whether this can be the name of a room, else why not, in words.
  [[nodiscard]] const std::expected<void, std::string_view>& valid() const noexcept { return valid_; }

  // What a message may have here (room_rules::message_bytes_max); UINT64_MAX: as much as one may be at all. Any thread.
  [[nodiscard]] std::uint64_t message_bytes_max() const noexcept;

  // The connection takes a seat: co_await it. When it is there, the room's home knows of it, so nothing that is published from then on is
  // missed. With an `id` the member can be reached by send_to(); who joins later under the same id takes it over.
  [[nodiscard]] task<seat> join(std::string_view id, receiver& ws, hearing hears = hearing::everyone);
  // With a replay, what is received next is what was said before, then what is said, without a hole and without a repetition, however many others speak
  // meanwhile. A connection that sits in the room already stays as it is.
  [[nodiscard]] task<seat> join(std::string_view id, receiver& ws, join_options options);
  // The member of that id leaves; its connection stays open. Nothing happens if there is none.
  send_status leave(std::string_view id);

  // To every member. Any thread, never waits: queued; dropped if the way to the room is full; closed if the server has stopped; not_started; too_large.
  // What the members make of it is up to the slow-consumer policy of the server, or of rooms like this one.
  send_status broadcast(opcode op, std::span<const std::byte> payload);
  send_status broadcast_text(std::string_view text) { return broadcast(opcode::text, std::as_bytes(std::span{text})); }
  send_status broadcast_binary(std::span<const std::byte> bytes) { return broadcast(opcode::binary, bytes); }
  send_status broadcast(std::string_view text) { return broadcast_text(text); }
  // The same, and what became of it on every shard: for coroutines, and for other threads. A future that nobody will answer, because the server
  // has not been started or has ended, holds a std::runtime_error that says so.
  [[nodiscard]] task<broadcast_report> broadcast_reported(opcode op, std::span<const std::byte> payload);
  [[nodiscard]] std::future<broadcast_report> broadcast_future(opcode op, std::span<const std::byte> payload);
  // For the event face: `on_report` is called on this shard, in a later turn; not at all for a name that is none, or if the server ends first. One
  // that throws is logged with `where`, and closes the connection, or fails the request, whose callback has asked.
  void broadcast_reported(opcode op, std::span<const std::byte> payload, std::function<void(const broadcast_report&)> on_report,
                          const std::source_location& where = std::source_location::current());

  // To one member. To one that is not there, or not any more, it is a no-op that is counted.
  send_status send_to(std::string_view id, opcode op, std::span<const std::byte> payload);
  send_status send_to(std::string_view id, std::string_view text) { return send_to(id, opcode::text, std::as_bytes(std::span{text})); }

  // How many members there are, over all shards: for coroutines, and for other threads.
  [[nodiscard]] task<std::uint32_t> count();
  [[nodiscard]] std::future<std::uint32_t> count_future();

  // The members, and the names of those who have one; in the same three ways.
  [[nodiscard]] task<room_info> info();
  [[nodiscard]] std::future<room_info> info_future();
  void info(std::function<void(const room_info&)> on_answer, const std::source_location& where = std::source_location::current());

  // What was said here and is kept (server_options::history), oldest first: at most so many messages, and not more than about a megabyte of them,
  // but one. In the same three ways. Where replay_options::after is the newest message, the answer waits up to `wait_ms` for the next one (and some
  // seconds longer where a shard is the home of thousands of rooms): a long poll.
  [[nodiscard]] task<room_messages> read(replay_options wanted, std::uint32_t messages_max, std::uint32_t wait_ms = 0);
  [[nodiscard]] std::future<room_messages> read_future(replay_options wanted, std::uint32_t messages_max, std::uint32_t wait_ms = 0);
  void read(const replay_options& wanted, std::uint32_t messages_max, std::uint32_t wait_ms, std::function<void(const room_messages&)> on_answer,
            const std::source_location& where = std::source_location::current());

 private:
  send_status call(engine::room_call_kind what, opcode op, std::string_view id, std::span<const std::byte> payload);
  [[nodiscard]] std::uint32_t home() const;

  server* server_;
  std::string name_;
  std::expected<void, std::string_view> valid_;
};

} // namespace ringcast
