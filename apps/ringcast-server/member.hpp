// What ringcast-server knows of a member of a room: what it asked for, and what its token permits. It is the user() of its connection.
#pragma once

#include "apps/ringcast-server/token_gate.hpp"
#include <ringcast/events.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace ringcast {

// The first close code that is the server's own to give (RFC 6455 7.4.2), and the next: of a token that is over.
constexpr std::uint16_t token_over = 4001;

struct member {
  bool gaps = false;     // is told which messages the slow-consumer policy took from it
  bool numbered = false; // is told where it joined
  bool may_publish = true;
  bool has_token = false; // or a certificate that names it, or the application has permitted it; and belongs to one connection, with which it goes
  std::string user{}; // of its token, or of its certificate
  bool user_by_certificate = false;
  std::optional<std::int64_t> expires_s{}; // of its token
  bool is_told = false; // the application is told of it, with what follows; and belongs to one connection, too
  std::string room{}, address{};
};

// Null: nobody is asked for a token.
using shared_gate = std::shared_ptr<token_gate>;

[[nodiscard]] inline member& member_of(websocket_ref ws) { return *static_cast<member*>(ws.user()); }
// Makes it the user of the upgrade. Who has no token shares one with all that asked for the same; one that the upgrade was begun with (user_of()) is
// what it becomes.
void keep_member(upgrade_request_view& upgrade, const member& wanted);
void drop_member(void* kept);
// What it may do in this room.
void note_claims(member& who, token_claims&& claims, std::string_view room);
void note_guest(member& who, token_gate::guest&& came);

// When the connection opens, and when it has a new token: the end of what it has.
void close_at_expiry(websocket_ref ws, const member& who);
// Whether it may say something only when asked: is_for_room().
[[nodiscard]] inline bool is_watched(const member& who) { return who.has_token || !who.may_publish; }
// Whether a message of such a member is for the room. Otherwise it was a new token, {"token":"..."} of a member that is numbered, or closed the
// connection. Without a gate there are no new tokens.
[[nodiscard]] bool is_for_room(const shared_gate& gate, websocket_ref ws, member& who, const message_view& message);

} // namespace ringcast
