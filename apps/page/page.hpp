// The chat page of `GET /`: one self-contained document that needs no other file and no network.
#pragma once

#include <string_view>

namespace ringcast {

/// The document, UTF-8, to be sent as `text/html; charset=utf-8`. Lives as long as the program; any thread.
[[nodiscard]] std::string_view chat_page() noexcept;

/// The value of the `Content-Security-Policy` header that belongs to it: the page's own script and style by their SHA-256,
/// connections to its own server, and nothing else.
[[nodiscard]] std::string_view chat_page_csp() noexcept;

} // namespace ringcast
