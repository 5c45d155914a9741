// The dashboard of `GET /admin`: its page, what it asks each second, and what may be done there.
#pragma once

#include "apps/ringcast-server/admin_guard.hpp"
#include "apps/ringcast-server/routes_below.hpp"
#include <ringcast/server.hpp>

#include <memory>
#include <string_view>

namespace ringcast {

using shared_guard = std::shared_ptr<admin_guard>;

// The page is where the other admin routes are. Closing is by the address for admin alone, and without one not at all.
void add_dashboard(server& s, routes_below where, const shared_guard& guard, bool has_admin_address);

// Whether a message may be published by this request: from the dashboard it wants the token, and is logged; from a program it is not an action of anybody.
// Otherwise it has been answered.
[[nodiscard]] bool may_publish(admin_guard& guard, const http_request& request, std::string_view room, http_responder& responder);

} // namespace ringcast
