// Options: who may come, and how much of it.
#include "apps/ringcast-server/option_makers.hpp"

namespace ringcast::declared {

namespace {

std::expected<void, std::string> is_origin(std::string_view text) { return check_origin(text); }

} // namespace

std::vector<option> limits() {
  return {
      {.name = "max-connections",
       .means = "connections of the whole server; the next one is answered 503 and closed (on a TLS port: only closed); 0 is no bound",
       .reason = "as many as there are descriptors",
       .rules = number([](auto& s) -> auto& { return s.server.max_connections; }, {.least = 0, .most = connections_most})},
      {.name = "max-connections-per-ip",
       .means = "the same for those from one IPv4 address, or one IPv6 network of 64 bits",
       .reason = "behind a proxy all have the proxy's",
       .rules = number([](auto& s) -> auto& { return s.server.max_connections_per_ip; }, {.least = 0, .most = connections_most})},
      {.name = "max-connects-per-ip-per-s",
       .means =
           "new connections a second from one address; one too many is answered 429 with `Retry-After` and closed (on a TLS port: only closed); 0 is "
           "no limit",
       .reason = "behind a proxy all have the proxy's",
       .rules = number([](auto& s) -> auto& { return s.server.new_connections_per_ip.per_s; }, {.least = 0, .most = rate_most})},
      {.name = "burst-connects-per-ip",
       .means = "so many may come at once; `auto` is what may come in a second",
       .reason = "a browser opens several",
       .rules = number([](auto& s) -> auto& { return s.server.new_connections_per_ip.burst; }, {.least = 1, .most = rate_most, .word = "auto"})},
      {.name = "max-messages-per-s",
       .means = "messages a second from one WebSocket; 0 is no limit",
       .reason = "who sends more has no larger share of a turn",
       .when = may_change::at_reload,
       .rules = number([](auto& s) -> auto& { return s.server.limits.rates.messages.per_s; }, {.least = 0, .most = rate_most})},
      {.name = "burst-messages",
       .means = "so many may come at once; `auto` is what may come in a second",
       .reason = "people type in bursts",
       .when = may_change::at_reload,
       .rules = number([](auto& s) -> auto& { return s.server.limits.rates.messages.burst; }, {.least = 1, .most = rate_most, .word = "auto"})},
      {.name = "max-received-bytes-per-s",
       .means = "bytes of messages a second from one WebSocket, inflated; 0 is no limit",
       .reason = "the same",
       .when = may_change::at_reload,
       .rules = size([](auto& s) -> auto& { return s.server.limits.rates.bytes.per_s; }, 0, tib)},
      {.name = "burst-received-bytes",
       .means = "so many may come at once; `auto` is what may come in a second. A larger message passes, and what it owes is waited for",
       .reason = "the same",
       .when = may_change::at_reload,
       .rules = size([](auto& s) -> auto& { return s.server.limits.rates.bytes.burst; }, 1, tib, "auto")},
      {.name = "over-rate",
       .means =
           "what happens to a WebSocket that sends faster: `push-back`, it is not read until it may go on; `drop`, its messages are dropped, and it "
           "is told `{\"dropped\":N}` at most once a second; `close` with 1008",
       .reason = "nothing is lost",
       .when = may_change::at_reload,
       .rules = choice([](auto& s) -> auto& { return s.server.limits.rates.policy; }, {"push-back", "drop", "close"})},
      {.name = "trusted-proxies",
       .means = "whose word about a request's origin counts: addresses, networks (`10.0.0.0/8`), `unix:`; may be given several times. Then "
                "the two limits per address count WebSockets and event streams by the address in their `X-Forwarded-For`: the first from its end "
                "that is no "
                "trusted proxy's. The proxy's connections themselves, and its other requests, are not bounded by address. Everybody else's header is "
                "ignored",
       .reason = "a header is whatever its sender writes",
       .rules = list([](auto& s) -> auto& { return s.server.proxies.trusted; }, "ADDR")},
      {.name = "forwarded-header",
       .means = "what these proxies set: `x-forwarded-for`, or `forwarded` ([RFC 7239](https://www.rfc-editor.org/rfc/rfc7239)); the other one is "
                "ignored, "
                "since a proxy hands it on as a stranger wrote it",
       .reason = "most proxies set this one",
       .rules = choice([](auto& s) -> auto& { return s.server.proxies.header; }, {"x-forwarded-for", "forwarded"})},
      {.name = "proxy-protocol",
       .means = "`on`: each connection to `--listen` and `--listen-tls` is one of `--trusted-proxies` and begins with a PROXY header, version 1 or 2 "
                "(HAProxy's `send-proxy` and `send-proxy-v2`, nginx's `proxy_protocol on`), which says whose it is; all others are closed. "
                "`--admin-listen` knows none",
       .reason = "who may be anybody by a header must not reach a port where none is wanted, nor the other way round",
       .rules = choice([](auto& s) -> auto& { return s.server.proxies.protocol; }, {"off", "on"})},
      {.name = "allowed-origin",
       .means = "from which pages browsers may connect or post, like `https://example.org`; others are answered 403; may be given several times, and "
                "without it all may",
       .reason = "a feed is for everybody",
       .when = may_change::at_reload,
       .rules = list([](auto& s) -> auto& { return s.server.allowed_origins; }, "ORIGIN", is_origin)},
  };
}

} // namespace ringcast::declared
