// Options: how peers reach the server, and what proves who is who.
#include "apps/ringcast-server/option_makers.hpp"

#include <algorithm>
#include <charconv>
#include <climits>
#include <fmt/format.h>

namespace ringcast::declared {

namespace {

using namespace std::string_view_literals;

// Far below what a request's head may have.
constexpr std::size_t base_path_bytes_max = 200;

// Whether it can be one; the engine knows whether it is, and is asked when the server starts.
std::expected<void, std::string> is_address(std::string_view text) {
  const auto is_number = [](std::string_view digits, unsigned most) {
    unsigned number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    return !digits.empty() && error == std::errc{} && end == digits.data() + digits.size() && number <= most;
  };
  const bool can_be = text.starts_with("unix:") ? text.size() > 5
                      : text.starts_with("fd:") ? is_number(text.substr(3), INT_MAX)
                                                : text.contains(':') && is_number(text.substr(text.rfind(':') + 1), 65'535);
  if (can_be) return {};
  return std::unexpected(fmt::format("'{}' is no address; allowed: 127.0.0.1:8080, [::1]:8080, :8080, unix:/path, fd:3", text));
}

std::expected<void, std::string> is_host_name(std::string_view text) {
  if (!text.empty() && text.find_first_of(":/ ") == std::string_view::npos) return {};
  return std::unexpected(fmt::format("'{}' is no name of a host; allowed: a name without a port, like admin.example.org", text));
}

// Of letters that stand for themselves in a path, in a route and in a proxy's rule.
std::expected<void, std::string> is_base_path(std::string_view text) {
  const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || "-._~/"sv.contains(c); };
  const bool can_be = text.size() > 1 && text.size() <= base_path_bytes_max && text.starts_with('/') && !text.ends_with('/') &&
                      !text.contains("//") && !text.contains("/.") && std::ranges::all_of(text, is_plain);
  if (text.empty() || can_be) return {};
  return std::unexpected(fmt::format("'{}' is no path to stand below; allowed: /chat-server, /a/b, of letters, digits, - . _ and ~", text));
}

} // namespace

std::vector<option> ways_in() {
  return {
      {.name = "listen",
       .means = "where to listen, also `[::1]:8080`, `:8080` (every address, as is `[::]:8080`, by IPv4 and IPv6), `unix:/path`, or `fd:3`, a socket "
                "that listens already; may be given several times",
       .reason = "nobody else's machine reaches it until you say so",
       .rules = list([](auto& s) -> auto& { return s.server.listen; }, "ADDR:PORT", is_address)},
      {.name = "listen-tls",
       .means = "where to listen for `https://` and `wss://`; may be given several times, and then `--listen` has no default",
       .reason = "it needs a certificate",
       .rules = list([](auto& s) -> auto& { return s.server.listen_tls; }, "ADDR:PORT", is_address)},
      {.name = "tls-cert",
       .means =
           "the certificate with its intermediates (PEM); several, each with its key at the same place, are chosen from by host name; SIGHUP reads "
           "them again",
       .reason = "only you have one",
       .rules = list([](auto& s) -> auto& { return s.certificate_files; }, "FILE")},
      {.name = "tls-key",
       .means = "the key of the certificate at the same place (PEM)",
       .reason = "only you have one",
       .rules = list([](auto& s) -> auto& { return s.key_files; }, "FILE")},
      {.name = "tls-client-ca",
       .means = "each client must present a certificate signed by one of these (PEM)",
       .reason = "browsers have none",
       .rules = text([](auto& s) -> auto& { return s.server.tls.client_ca_file; }, "FILE")},
      {.name = "tls-client-user",
       .means =
           "who the user is, as in a [token](#tokens)'s `sub`: `subject`, the common name of the client's certificate; `san`, the first of its "
           "alternative names, a DNS name or URI, or else an e-mail address; `off`, nobody. A token or a name in the request that says otherwise is "
           "refused with 403. Then each TLS handshake is a full one",
       .reason = "a certificate may be a machine's",
       .rules = choice([](auto& s) -> auto& { return s.tokens.user_by; }, {"off", "subject", "san"})},
      {.name = "admin-listen",
       .means =
           "where those who run the server find `/admin`, `/metrics`, `/rooms`, `/connections` and publishing, which are then nowhere else; also "
           "`unix:/path`; may be given several times. Everybody who reaches it may do everything. With tokens or `--authorize-url` it is "
           "`127.0.0.1:8081` by itself",
       .reason = "without tokens everybody may do everything anyway",
       .rules = list([](auto& s) -> auto& { return s.server.listen_admin; }, "ADDR:PORT", is_address)},
      {.name = "admin-host",
       .means =
           "a name by which `--admin-listen` may be asked for, beside addresses and `localhost`; may be given several times. With any other `Host` "
           "the answer is 421",
       .reason = "the page of a stranger whose own name leads here would be served like you (DNS rebinding)",
       .rules = list([](auto& s) -> auto& { return s.server.admin_hosts; }, "NAME", is_host_name)},
      {.name = "base-path",
       .means = "everything lies below this path, the page at `/chat-server/`, its rooms at `/chat-server/broadcast/{room}` and so on: for a proxy "
                "that hands a part of a site on as it is",
       .reason = "a server of its own has its paths for itself",
       .rules = text([](auto& s) -> auto& { return s.base_path; }, "PATH", is_base_path)},
      {.name = "jwt-hs256-key-file",
       .means = "a secret of 32 bytes or more (a line end behind it is none of it): [tokens](#tokens) by HS256; SIGHUP reads it again",
       .reason = "only your application and you know the secret; without keys everybody may come in",
       .rules = text([](auto& s) -> auto& { return s.tokens.hs256_key_file; }, "FILE")},
      {.name = "jwt-jwks-file",
       .means = "a JWK set (RFC 7517): tokens by its keys, HS256, EdDSA, ES256 or RS256; SIGHUP reads it again",
       .reason = "only your application has such keys; without any everybody may come in",
       .rules = text([](auto& s) -> auto& { return s.tokens.jwks_file; }, "FILE")},
      {.name = "jwt-audience",
       .means = "what a token must have in `aud`; without it a token with `aud` is refused",
       .reason = "such a token is for somebody else (RFC 7519 4.1.3)",
       .rules = text([](auto& s) -> auto& { return s.tokens.audience; }, "AUD")},
  };
}

} // namespace ringcast::declared
