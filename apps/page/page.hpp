// The chat page of `GET /` and the dashboard of `GET /admin`: each is one self-contained document that needs no other file and no network.
#pragma once

#include <string_view>

namespace ringcast {

/// A document, UTF-8, to be sent as `text/html; charset=utf-8`. Lives as long as the program; any thread.
[[nodiscard]] std::string_view chat_page() noexcept;
[[nodiscard]] std::string_view admin_page() noexcept;

/// The value of the `Content-Security-Policy` header that belongs to it: the document's own script and style by their SHA-256,
/// connections to its own server, and nothing else.
[[nodiscard]] std::string_view chat_page_csp() noexcept;
[[nodiscard]] std::string_view admin_page_csp() noexcept;

} // namespace ringcast
