// What holds for some of a server's rooms in place of what holds for all: server::rooms_like(). Plain values.
#pragma once

#include <ringcast/position.hpp>
#include <ringcast/rate_limits.hpp>
#include <ringcast/rooms.hpp>
#include <ringcast/server_limits.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

namespace ringcast {

// What is not given stays as the server has it.
struct room_rules {
  std::optional<slow_consumer> policy{};             // server_options::policy
  std::optional<std::uint64_t> behind_bytes_max{};   // how far a member may be behind: server_limits::send_queue_bytes_max
  // server_options::history; history_options{} keeps nothing. Its total_bytes means nothing here: there is one budget, the server's.
  std::optional<history_options> history{};
  // A message of more bytes is not published: send_status::too_large. No bound of its own unless given; what a connection may send at all is
  // server_limits::message_bytes_max, or its endpoint's.
  std::optional<std::uint64_t> message_bytes_max{};
  // Members, each connection one, over all shards; 0: no bound. Who would be one more is refused: an upgrade with 503, websocket_ref::join() and
  // room::join() in words.
  std::optional<std::uint32_t> members_max{};
  // Whether members hear of its users, and GET /rooms/{room} of ringcast-server tells them. True unless given: then seat_wish says who wants to.
  std::optional<bool> presence{};
  // How fast it may be said something, by all who publish there together. What is too fast is not published: broadcast_report::too_fast says so, a member
  // is told how many of its messages were lost by websocket_endpoint::on_dropped, and room::broadcast() and a coroutine's seat are told nothing.
  std::optional<rate_limit> messages{};
  // The room is one over all servers that have the same server_options::cluster: its members, wherever they are, hear the same messages in the same
  // order with the same numbers. What a room keeps for those who come is then read from the engine by the number of messages, and names in the room
  // and presence are those of this server alone.
  std::optional<bool> cluster{};
};

// Whether a room has the name that a pattern describes: as it stands, and a * for any bytes, maybe none, slashes too. "prices/*", "*-private".
// Looks at each byte of the name some times at most for each *, however both were chosen.
[[nodiscard]] bool matches_room_pattern(std::string_view pattern, std::string_view name) noexcept;

} // namespace ringcast
