// From which web pages a browser may reach the server (RFC 6455 10.2): the browser puts the page's origin into each
// upgrade request, and into each request that is more than a plain read. And by which name it was asked for.
#pragma once

#include "proto/http_head.hpp"
#include <ringcast/server_options.hpp>

#include <span>
#include <string>
#include <string_view>

namespace ringcast::engine {

/// Whether a request may come from where it says it comes from. An empty list allows every origin. A request without an
/// Origin header comes from no browser, and is allowed: any other program writes there what it likes.
[[nodiscard]] bool is_origin_allowed(const request_head& head, std::span<const std::string> allowed) noexcept;

/// Whether a request to a listener of server_options::listen_admin is for it: by an address, which no page's name can be, as localhost, or by one of
/// these names. One without a Host header comes from no browser.
[[nodiscard]] bool is_admin_host(const request_head& head, std::span<const std::string> names);

} // namespace ringcast::engine
