// The URLs that a client connects to: ws and wss (RFC 6455 section 3), http and https (for proxies). For start-up and
// configuration: it allocates.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace ringcast {

enum class url_scheme : std::uint8_t { ws, wss, http, https };

enum class host_kind : std::uint8_t { name, ipv4, ipv6 };

struct url {
  url_scheme scheme = url_scheme::ws;
  host_kind kind = host_kind::name;
  std::uint16_t port = 80; ///< from the URL, else the scheme's own: 80 or 443
  bool has_userinfo = false;
  std::string user;     ///< percent-decoded
  std::string password; ///< percent-decoded
  std::string host;     ///< in lower case, an IPv6 address without its brackets
  std::string target;   ///< path and query as they go into the request line, at least "/"

  [[nodiscard]] bool is_tls() const noexcept { return scheme == url_scheme::wss || scheme == url_scheme::https; }
  [[nodiscard]] std::uint16_t default_port() const noexcept { return is_tls() ? 443 : 80; }
  /// The Host field: brackets around IPv6, the port only where it is not the scheme's own.
  [[nodiscard]] std::string host_field() const;
  /// "host:port" with the port always there, as CONNECT to a proxy wants it (RFC 9110 section 9.3.6).
  [[nodiscard]] std::string authority() const;
  /// The value of an Authorization field for user and password ("Basic ...", RFC 7617), empty without userinfo.
  [[nodiscard]] std::string basic_authorization() const;
};

/// Reads a URL, or says in one sentence (static storage) what is wrong with it. Host names must be ASCII: give
/// internationalised names in their "xn--" form. A fragment is refused for ws and wss (RFC 6455 section 3) and dropped
/// for http and https.
[[nodiscard]] std::expected<url, std::string_view> parse_url(std::string_view text);

/// True for an IPv6 address in the text form of RFC 4291 section 2.2, without brackets and without a zone.
[[nodiscard]] bool is_ipv6_address(std::string_view text) noexcept;
/// True for four decimal numbers of 0 to 255, without leading zeros.
[[nodiscard]] bool is_ipv4_address(std::string_view text) noexcept;

} // namespace ringcast
