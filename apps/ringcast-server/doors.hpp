// What stands in front of endpoints: nothing, the keys of tokens, or the application; and who is told of those who come.
#pragma once

#include "apps/ringcast-server/application_gate.hpp"
#include "apps/ringcast-server/member.hpp"
#include "apps/ringcast-server/room_ledger.hpp"
#include "apps/ringcast-server/routes_below.hpp"
#include <ringcast/events.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace ringcast {

struct doors {
  // Of these two at most one is there.
  shared_gate gate{};                              // asks for tokens
  std::shared_ptr<application_gate> application{}; // is asked in front of each upgrade and request
  room_ledger* ledger = nullptr;                   // is told of connections; null: nobody is
};

// The endpoint behind the doors. Its on_upgrade asks let_in(), which knows what was said.
void add_behind(routes_below& to, std::string_view pattern, websocket_endpoint endpoint, const doors& by, token_right right);
[[nodiscard]] http_handler behind(const doors& by, token_right right, http_handler handler);

// Whether the upgrade may go on: what its token says, or the application, is noted in `who`. Otherwise it has been refused.
[[nodiscard]] bool let_in(const doors& by, upgrade_request_view& upgrade, token_right right, member& who);

// As whom it comes, where it has asked to be `asked`, which may be nothing: the user that its token or its certificate says. Nothing if it asked for
// somebody else, and then it has been refused. The application was asked with that name, and has permitted it.
[[nodiscard]] std::optional<std::string> own_name(const doors& by, upgrade_request_view& upgrade, const member& who,
                                                  const std::optional<std::string>& asked);

} // namespace ringcast
