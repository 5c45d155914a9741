// The header of HAProxy's PROXY protocol, versions 1 and 2 (https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt): what a proxy says in front
// of everything else, TLS too, about whose connection it hands on. Whether it may be believed is not known here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace ringcast {

/// A line of version 1 with its CRLF (section 2.1): two IPv6 addresses that are written out, or UNKNOWN and as much.
inline constexpr std::size_t proxy_line_bytes_max = 107;
/// A header of version 2. Two paths of Unix sockets have 232 bytes (section 2.2); behind them stand TLVs, the longest of which is a client's certificate.
inline constexpr std::size_t proxy_header_bytes_max = 4096;

/// Whom the header names.
struct proxy_header {
  enum class family : std::uint8_t {
    none, ///< nobody: the proxy asks for itself (LOCAL), or cannot say (UNKNOWN, UNSPEC)
    ipv4,
    ipv6,
    unix_socket,
  };
  family source = family::none;
  std::array<std::uint8_t, 16> address{}; ///< as it goes over the wire; of IPv4 the first four
  std::uint16_t port = 0;
  std::string_view path; ///< of a Unix socket, without the zeros behind it; in the bytes that were parsed
};

enum class proxy_header_status : std::uint8_t {
  need_more, ///< nothing was consumed, nothing was noted
  done,
  bad, ///< section 2: close the connection
};

struct proxy_header_result {
  proxy_header_status status = proxy_header_status::need_more;
  std::size_t bytes = 0; ///< when done: what stands behind them is the connection's own
  std::string_view why; ///< when bad: one sentence, of static storage
};

/// Reads the header at the front of `bytes`. What is said of it stands, whatever comes behind them.
[[nodiscard]] proxy_header_result parse_proxy_header(std::span<const std::byte> bytes, proxy_header& out) noexcept;

} // namespace ringcast
