#include "proto/url.hpp"

#include "proto/http_fields.hpp"
#include "proto/http_scan.hpp"
#include "proto/percent.hpp"
#include <ringcast/base64.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <span>

namespace ringcast {

namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_hex_digit(char c) noexcept { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// Letters, digits, '-', '.', '_' : what DNS and hosts files know. Anything else in a name is a mistake here.
bool is_host_name(std::string_view text) noexcept {
  constexpr std::size_t dns_name_bytes_max = 253; // RFC 1035 section 3.1.4, in text form
  return !text.empty() && text.size() <= dns_name_bytes_max && text.front() != '.' && !text.contains("..") &&
         std::ranges::all_of(text, [](char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '.' || c == '_'; });
}

std::optional<std::uint16_t> parse_port(std::string_view text) noexcept {
  unsigned port = 0;
  if (text.empty() || text.size() > 5) return std::nullopt;
  for (const char c : text) {
    if (!is_digit(c)) return std::nullopt;
    port = port * 10 + static_cast<unsigned>(c - '0');
  }
  if (port == 0 || port > 65535) return std::nullopt;
  return static_cast<std::uint16_t>(port);
}

std::string_view read_host_and_port(std::string_view text, url& out) {
  std::string_view host = text;
  std::string_view after;
  if (text.starts_with('[')) {
    const std::size_t bracket = text.find(']');
    if (bracket == std::string_view::npos) return "The IPv6 address of the URL has no closing bracket.";
    host = text.substr(1, bracket - 1);
    after = text.substr(bracket + 1);
    if (host.contains('%')) return "The IPv6 address of the URL has a zone, which a URL cannot carry here.";
    if (!is_ipv6_address(host)) return "The URL's host in brackets is not an IPv6 address.";
    if (!after.empty() && after.front() != ':') return "Something else than a port follows the IPv6 address of the URL.";
    out.kind = host_kind::ipv6;
  } else {
    const std::size_t colon = text.find(':');
    host = text.substr(0, colon);
    after = colon == std::string_view::npos ? std::string_view{} : text.substr(colon);
    if (after.find(':', 1) != std::string_view::npos) return "An IPv6 address in a URL needs brackets around it.";
  }
  if (host.empty()) return "The URL has no host.";
  out.host = host;
  for (char& c : out.host)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  if (out.kind != host_kind::ipv6) {
    if (is_ipv4_address(out.host))
      out.kind = host_kind::ipv4;
    else if (!is_host_name(out.host))
      return "The URL's host is neither a name nor an address.";
    else if (std::ranges::all_of(out.host, [](char c) { return is_digit(c) || c == '.'; }))
      return "The URL's host looks like an IPv4 address, but is not one.";
  }
  // RFC 3986 section 3.2.3 allows an empty port, which stands for the scheme's own.
  out.port = out.default_port();
  if (after.size() > 1) {
    const auto port = parse_port(after.substr(1));
    if (!port) return "The URL's port is not a number from 1 to 65535.";
    out.port = *port;
  }
  return {};
}

std::string_view read_userinfo(std::string_view text, url& out) {
  const std::size_t colon = text.find(':');
  auto user = percent_decode(text.substr(0, colon));
  auto password = colon == std::string_view::npos ? std::string{} : percent_decode(text.substr(colon + 1));
  if (!user || !password) return "The user or password in the URL has a broken percent escape.";
  // RFC 7617 section 2: a colon would end the user, control characters are not allowed.
  const auto has_control = [](const std::string& s) {
    return std::ranges::any_of(s, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  };
  if (user->contains(':') || has_control(*user) || has_control(*password))
    return "The user or password in the URL has a character that basic authentication cannot carry.";
  out.has_userinfo = true;
  out.user = std::move(*user);
  out.password = std::move(*password);
  return {};
}

} // namespace

std::expected<url, std::string_view> parse_url(std::string_view text) {
  using unexpected = std::unexpected<std::string_view>;
  url out;
  const std::size_t scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos) return unexpected{"A URL begins with ws://, wss://, http:// or https://."};
  const std::string_view scheme = text.substr(0, scheme_end);
  if (equal_ignoring_case(scheme, "ws"))
    out.scheme = url_scheme::ws;
  else if (equal_ignoring_case(scheme, "wss"))
    out.scheme = url_scheme::wss;
  else if (equal_ignoring_case(scheme, "http"))
    out.scheme = url_scheme::http;
  else if (equal_ignoring_case(scheme, "https"))
    out.scheme = url_scheme::https;
  else
    return unexpected{"The URL's scheme is not ws, wss, http or https."};
  std::string_view rest = text.substr(scheme_end + 3);

  if (const std::size_t hash = rest.find('#'); hash != std::string_view::npos) {
    if (out.scheme == url_scheme::ws || out.scheme == url_scheme::wss)
      return unexpected{"A WebSocket URL must not have a fragment; write a '#' in the path as %23."};
    rest = rest.substr(0, hash);
  }
  if (!std::ranges::all_of(rest, [](char c) { return http_scan::is(c, http_scan::target_byte); }))
    return unexpected{"The URL contains white space, a control character or a byte outside ASCII; percent-encode it."};

  const std::size_t authority_end = std::min(rest.find_first_of("/?"), rest.size());
  std::string_view authority = rest.substr(0, authority_end);
  // The last '@' ends the userinfo: one inside a password has to be encoded, but is often forgotten.
  if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
    if (const auto why = read_userinfo(authority.substr(0, at), out); !why.empty()) return unexpected{why};
    authority.remove_prefix(at + 1);
  }
  if (const auto why = read_host_and_port(authority, out); !why.empty()) return unexpected{why};

  out.target = rest.substr(authority_end);
  if (!out.target.starts_with('/')) out.target.insert(out.target.begin(), '/');
  return out;
}

std::string url::authority() const {
  const std::string name = kind == host_kind::ipv6 ? "[" + host + "]" : host;
  return name + ":" + std::to_string(port);
}

std::string url::host_field() const {
  std::string field = authority();
  if (port == default_port()) field.resize(field.rfind(':'));
  return field;
}

std::string url::basic_authorization() const {
  if (!has_userinfo) return {};
  const std::string plain = user + ":" + password;
  std::string value = "Basic ";
  value.resize(value.size() + base64_encoded_bytes(plain.size()));
  base64_encode(std::as_bytes(std::span{plain}), value.data() + 6);
  return value;
}

bool is_ipv4_address(std::string_view text) noexcept {
  for (int part = 0; part < 4; ++part) {
    const std::size_t dot = part < 3 ? text.find('.') : text.size();
    if (dot == std::string_view::npos || dot == 0 || dot > 3) return false;
    const std::string_view digits = text.substr(0, dot);
    if (!std::ranges::all_of(digits, is_digit) || (digits.size() > 1 && digits.front() == '0')) return false;
    if (digits.size() == 3 && digits > "255") return false;
    text.remove_prefix(part < 3 ? dot + 1 : dot);
  }
  return text.empty();
}

// Eight groups of up to four hexadecimal digits; the last two may be an IPv4 address; "::" stands once for one or more
// groups of zeros.
bool is_ipv6_address(std::string_view text) noexcept {
  int groups = 0;
  bool compressed = false;
  if (text.starts_with("::")) {
    compressed = true;
    text.remove_prefix(2);
    if (text.empty()) return true;
  }
  for (;;) {
    const std::size_t colon = text.find(':');
    const std::string_view group = text.substr(0, colon);
    if (colon == std::string_view::npos && group.contains('.')) {
      groups += 2;
      if (!is_ipv4_address(group)) return false;
    } else {
      groups += 1;
      if (group.empty() || group.size() > 4 || !std::ranges::all_of(group, is_hex_digit)) return false;
    }
    if (colon == std::string_view::npos) break;
    text.remove_prefix(colon + 1);
    if (text.starts_with(':')) {
      if (compressed) return false;
      compressed = true;
      text.remove_prefix(1);
      if (text.empty()) break;
    }
  }
  return compressed ? groups < 8 : groups == 8;
}

} // namespace ringcast
