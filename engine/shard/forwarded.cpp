#include "engine/shard/forwarded.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fmt/format.h>
#include <netinet/in.h>
#include <optional>

namespace ringcast::engine {

namespace {

constexpr unsigned mapped_bits = 96; // in front of the IPv4 address

// "192.0.2.1", "192.0.2.1:47011", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:47011"; nothing for "unknown", "_hidden" and garbage. A port that is
// no number is ignored: it is of no use here.
std::optional<socket_address> read_address(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    return end == std::string_view::npos ? std::nullopt : numeric_address(text.substr(1, end - 1), 0);
  }
  if (std::ranges::count(text, ':') == 1) text = text.substr(0, text.find(':'));
  return numeric_address(text, 0);
}

// The node of for= in an element of Forwarded: for="[2001:db8::1]:47011";proto=https. Without the quotes; empty if there is none.
std::string_view forwarded_for(std::string_view element) {
  while (!element.empty()) {
    const std::size_t end = std::min(element.find(';'), element.size());
    const std::string_view pair = trim_whitespace(element.substr(0, end));
    element.remove_prefix(std::min(end + 1, element.size()));
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos || !equal_ignoring_case(pair.substr(0, equals), "for")) continue;
    std::string_view node = pair.substr(equals + 1);
    if (node.size() >= 2 && node.front() == '"' && node.back() == '"') node = node.substr(1, node.size() - 2);
    return node;
  }
  return {};
}

} // namespace

trusted_proxies::address_bytes trusted_proxies::bytes_of(const socket_address& address) {
  address_bytes bytes{};
  if (address.storage.ss_family == AF_INET) {
    bytes[10] = bytes[11] = 0xff;
    std::memcpy(bytes.data() + 12, &reinterpret_cast<const sockaddr_in&>(address.storage).sin_addr, 4);
  } else if (address.storage.ss_family == AF_INET6) {
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6&>(address.storage).sin6_addr, 16);
  }
  return bytes;
}

std::expected<trusted_proxies, std::string> trusted_proxies::parse(const proxy_options& options) {
  trusted_proxies all;
  all.header_ = options.header;
  for (const std::string& text : options.trusted) {
    if (text == "unix:") {
      all.trusts_unix_ = true;
      continue;
    }
    const std::string_view whole = text;
    const std::size_t slash = whole.find('/');
    const auto address = numeric_address(whole.substr(0, slash), 0);
    if (!address) return std::unexpected(fmt::format("'{}' is no trusted proxy: it wants an address, a network like 10.0.0.0/8, or unix:", text));
    const bool is_v4 = address->storage.ss_family == AF_INET;
    const unsigned bits_max = is_v4 ? 32 : 128;
    unsigned bits = bits_max;
    if (slash != std::string_view::npos) {
      const std::string_view length = whole.substr(slash + 1);
      const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), bits);
      if (length.empty() || error != std::errc{} || end != length.data() + length.size() || bits > bits_max)
        return std::unexpected(fmt::format("'{}' is no trusted proxy: the length of a network's prefix is a number up to {}", text, bits_max));
    }
    all.networks_.push_back({bytes_of(*address), is_v4 ? bits + mapped_bits : bits});
  }
  return all;
}

bool trusted_proxies::trusts(const socket_address& peer) const {
  if (peer.storage.ss_family == AF_UNIX) return trusts_unix_;
  if (peer.storage.ss_family != AF_INET && peer.storage.ss_family != AF_INET6) return false;
  const address_bytes address = bytes_of(peer);
  return std::ranges::any_of(networks_, [&](const network& each) {
    const unsigned whole = each.bits / 8, rest = each.bits % 8;
    if (!std::equal(address.begin(), address.begin() + whole, each.address.begin())) return false;
    return rest == 0 || ((address[whole] ^ each.address[whole]) >> (8 - rest)) == 0;
  });
}

// Each proxy adds its peer at the end, some in a field of their own: all fields of that name are one list (RFC 9110 5.3), read from its end.
socket_address trusted_proxies::client_of(const http_fields& head, const socket_address& peer) const {
  const std::string_view name = header_ == forwarded_header::forwarded ? "Forwarded" : "X-Forwarded-For";
  socket_address last = peer;
  for (std::size_t i = head.header_count; i-- > 0;) {
    if (!equal_ignoring_case(head.headers[i].name, name)) continue;
    std::string_view list = head.headers[i].value;
    while (!list.empty()) {
      const std::size_t comma = list.rfind(',');
      const std::string_view element = trim_whitespace(comma == std::string_view::npos ? list : list.substr(comma + 1));
      list = comma == std::string_view::npos ? std::string_view{} : list.substr(0, comma);
      if (element.empty()) continue; // RFC 9110 5.6.1
      const auto address = read_address(header_ == forwarded_header::forwarded ? forwarded_for(element) : element);
      if (!address) return last;
      last = *address;
      if (!trusts(last)) return last;
    }
  }
  return last;
}

} // namespace ringcast::engine
