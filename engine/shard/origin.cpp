#include "engine/shard/origin.hpp"

#include "engine/io/socket.hpp"
#include "proto/authority.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace ringcast {

using namespace engine;

std::expected<void, std::string> check_origin(std::string_view text) {
  if (text == "null") return {};
  const auto refuse = [&](std::string_view why) { return std::unexpected(fmt::format("'{}' is not an origin: {}", text, why)); };
  const std::size_t scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos || scheme_end == 0)
    return refuse("it wants SCHEME://HOST or SCHEME://HOST:PORT, like https://example.org");
  const std::string_view rest = text.substr(scheme_end + 3);
  if (rest.find_first_of("/?#@") != std::string_view::npos) return refuse("an origin ends behind its host or port, without a slash");
  if (rest.empty() || rest.front() == ':') return refuse("it has no host");
  if (std::ranges::any_of(text, [](unsigned char c) { return c <= 0x20 || c >= 0x7f; })) return refuse("it has characters that no origin has");
  if (text.contains('*')) return refuse("each origin is listed as it is, and a * stands for nothing");
  return {};
}

bool engine::is_origin_allowed(const request_head& head, std::span<const std::string> allowed) noexcept {
  if (allowed.empty()) return true;
  return head.for_each("Origin", [&](std::string_view origin) {
    // Scheme and host have no case of their own (RFC 3986 6.2.2.1).
    return std::ranges::any_of(allowed, [&](const std::string& each) { return equal_ignoring_case(each, origin); });
  });
}

bool engine::is_admin_host(const request_head& head, std::span<const std::string> names) {
  const auto asked = parse_authority(head.host);
  if (!asked) return false;
  std::string_view host = asked->host;
  if (host.empty() || equal_ignoring_case(host, "localhost")) return true;
  if (std::ranges::any_of(names, [&](const std::string& each) { return equal_ignoring_case(each, host); })) return true;
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return numeric_address(host, 0).has_value();
}

} // namespace ringcast
