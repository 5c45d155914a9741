// The opening handshake of RFC 6455 section 4, for both roles, over parsed heads. Bytes in, bytes out: no socket.
#pragma once

#include "proto/extension.hpp"
#include "proto/http_head.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

namespace ringcast {

/// The base64 text of 16 bytes.
using websocket_key = std::array<char, 24>;

/// What Sec-WebSocket-Accept must be for a key: base64 of the SHA-1 of key and GUID (RFC 6455 section 4.2.2).
[[nodiscard]] std::array<char, 28> accept_key(std::string_view key) noexcept;

// ---- server role ----------------------------------------------------------------------------------------------------

struct upgrade_check {
  bool ok = false;
  http_status error = http_status::ok;  ///< when not ok: 400, 405 (say "Allow: GET") or 426 (say "Sec-WebSocket-Version: 13")
  std::string_view why; ///< when not ok: one sentence, of static storage
  std::string_view key; ///< when ok: Sec-WebSocket-Key, a view into the head
};

/// True when the request asks for a WebSocket at all, well or badly.
[[nodiscard]] bool is_websocket_upgrade(const request_head& head) noexcept;

/// Checks everything that RFC 6455 section 4.2.1 demands of a client's opening handshake, and that the lists of
/// subprotocols and extensions are well formed.
[[nodiscard]] upgrade_check check_upgrade(const request_head& head) noexcept;

/// The first of `preferences` (the server's order) that the client offered, or an empty view. The view is the one in
/// `preferences`. Subprotocols are compared exactly (RFC 6455 section 4.2.2). A malformed list offers nothing.
[[nodiscard]] std::string_view choose_subprotocol(const request_head& head, std::span<const std::string_view> preferences) noexcept;

/// An upper bound for write_accept_response without the variable texts: add the sizes of those.
inline constexpr std::size_t accept_response_bytes_base = 192;

/// Writes the 101 response. `key` is the client's, as check_upgrade returned it. `subprotocol` and `extensions` may be
/// empty. `extra_headers` are complete lines, each with its CRLF. Returns the length, or 0 when `out` is too small, or
/// when one of the texts would break the head (control characters, a last line without CRLF).
[[nodiscard]] std::size_t write_accept_response(std::span<char> out, std::string_view key, std::string_view subprotocol, std::string_view extensions,
                                                std::string_view extra_headers = {}) noexcept;

// ---- client role ----------------------------------------------------------------------------------------------------

/// A key for one connection attempt from 16 bytes that the caller drew at random (RFC 6455 section 4.1).
[[nodiscard]] websocket_key make_websocket_key(std::span<const std::byte, 16> random) noexcept;

struct upgrade_request {
  std::string_view host;   ///< the Host field: name or address, with the port where it is not the scheme's own
  std::string_view target; ///< path and query, percent-encoded, starts with '/'
  std::string_view key;    ///< from make_websocket_key
  std::span<const std::string_view> subprotocols; ///< in order of preference, tokens, no repetition
  std::string_view extensions;                    ///< from write_deflate_offer(...).view(), or empty
  std::span<const http_header> headers;           ///< extra ones: Authorization, Origin, Cookie...
};

/// An upper bound for the length of the request.
[[nodiscard]] std::size_t upgrade_request_bytes_max(const upgrade_request& request) noexcept;

/// Writes the opening handshake of a client. Returns its length, or one sentence when a part would break the head or
/// take over one of the handshake's own headers, or when `out` is too small.
[[nodiscard]] std::expected<std::size_t, std::string_view> write_upgrade_request(std::span<char> out, const upgrade_request& request) noexcept;

/// Why a server's answer does not open a WebSocket (RFC 6455 section 4.1).
enum class handshake_error : std::uint8_t {
  wrong_status,       ///< not 101: look at the response's status and headers
  wrong_http_version, ///< 101 in HTTP/1.0
  missing_upgrade,    ///< no Upgrade field
  wrong_upgrade,      ///< Upgrade is not exactly "websocket"
  missing_connection, ///< no Connection field, or none that says "Upgrade"
  missing_accept,     ///< no Sec-WebSocket-Accept
  wrong_accept,       ///< Sec-WebSocket-Accept repeated, or not the one that belongs to our key
  wrong_subprotocol,  ///< a subprotocol that was not offered, or more than one
  wrong_extension,    ///< see handshake_failure::why
};

struct handshake_failure {
  handshake_error error = handshake_error::wrong_status;
  std::string_view why; ///< one sentence, of static storage
};

struct upgrade_accepted {
  std::string_view subprotocol; ///< the element of what was offered, or empty
  std::optional<deflate_params> deflate;
};

/// Checks the server's answer to a request made with `key`, these subprotocols and this offer (null: none was made).
[[nodiscard]] std::expected<upgrade_accepted, handshake_failure> check_upgrade_response(const response_head& head, std::string_view key,
                                                                                        std::span<const std::string_view> subprotocols,
                                                                                        const deflate_offer* offer) noexcept;

} // namespace ringcast
