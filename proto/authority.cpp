#include "proto/authority.hpp"

#include "proto/http_scan.hpp"
#include "proto/url.hpp"

#include <algorithm>
#include <cstddef>

namespace ringcast {

namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_hex_digit(char c) noexcept { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// reg-name: unreserved and sub-delims, and each '%' begins an escape of two digits. An IPv4 address is one, too.
bool is_registered_name(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (!http_scan::is(c, http_scan::host_byte) || c == ':' || c == '[' || c == ']') return false;
    if (c == '%' && (text.size() - i < 3 || !is_hex_digit(text[i + 1]) || !is_hex_digit(text[i + 2]))) return false;
  }
  return true;
}

// IPvFuture: "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" ).
bool is_future_address(std::string_view text) noexcept {
  if (!text.starts_with('v') && !text.starts_with('V')) return false;
  const std::size_t dot = text.find('.');
  if (dot == std::string_view::npos || dot == 1 || dot + 1 == text.size()) return false;
  return std::ranges::all_of(text.substr(1, dot - 1), is_hex_digit) &&
         std::ranges::all_of(text.substr(dot + 1), [](char c) { return http_scan::is(c, http_scan::host_byte) && c != '%' && c != '[' && c != ']'; });
}

} // namespace

std::optional<authority> parse_authority(std::string_view text) noexcept {
  authority out;
  std::size_t host_bytes = 0;
  if (text.starts_with('[')) {
    const std::size_t bracket = text.find(']');
    if (bracket == std::string_view::npos) return std::nullopt;
    const std::string_view address = text.substr(1, bracket - 1);
    if (!is_ipv6_address(address) && !is_future_address(address)) return std::nullopt;
    host_bytes = bracket + 1;
  } else {
    host_bytes = std::min(text.find(':'), text.size());
    if (!is_registered_name(text.substr(0, host_bytes))) return std::nullopt;
  }
  out.host = text.substr(0, host_bytes);
  text.remove_prefix(host_bytes);
  if (text.empty()) return out;
  if (text.front() != ':') return std::nullopt;
  text.remove_prefix(1);
  if (text.empty()) return out;
  unsigned port = 0;
  for (const char c : text) {
    if (!is_digit(c)) return std::nullopt;
    port = port * 10 + static_cast<unsigned>(c - '0');
    if (port > 65535) return std::nullopt;
  }
  out.port = static_cast<std::uint16_t>(port);
  return out;
}

} // namespace ringcast
