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
  bool has_token = false;                // or a certificate that names it; and belongs to one connection, with which it goes
  std::string user{};                    // of its token, or of its certificate
  bool user_by_certificate = false;
  std::optional<std::int64_t> expires_s{}; // of its token
};

// Null: everybody may do everything.
using shared_gate = std::shared_ptr<token_gate>;

[[nodiscard]] inline member& member_of(websocket_ref ws) { return *static_cast<member*>(ws.user()); }
// For upgrade_request_view::set_user(). Who has no token shares one with all that asked for the same.
[[nodiscard]] void* keep_member(const member& wanted);
void drop_member(void* kept);

// Whether the upgrade may go on: what its token says is noted in `who`. Otherwise it has been refused.
[[nodiscard]] bool let_in(const shared_gate& gate, upgrade_request_view& upgrade, token_right right, member& who);
// The same for a request that is no upgrade; otherwise it has been answered.
[[nodiscard]] bool let_in(const shared_gate& gate, const http_request& request, token_right right, http_responder responder);

// As whom it comes, where it has asked to be `asked`, which may be nothing: the user of its token or certificate. Nothing if it asked for somebody
// else, and then it has been refused.
[[nodiscard]] std::optional<std::string> own_name(const shared_gate& gate, upgrade_request_view& upgrade, const member& who,
                                                  const std::optional<std::string>& asked);

// When the connection opens, and when it has a new token: the end of what it has.
void close_at_expiry(websocket_ref ws, const member& who);
// Whether a message of somebody with a token is for the room. Otherwise it was a new token, {"token":"..."} of a member that is numbered, or closed the
// connection.
[[nodiscard]] bool is_for_room(token_gate& gate, websocket_ref ws, member& who, const message_view& message);

} // namespace ringcast
