// The declaration of every option: name, what it means, why its default is what it is, and its rules. The order is that of the README.
#include "apps/ringcast-server/options.hpp"

#include <ringcast/connection_handle.hpp>

#include <charconv>
#include <climits>
#include <fmt/format.h>
#include <type_traits>

namespace ringcast {

namespace {

constexpr std::uint64_t kib = 1024, mib = kib * kib, gib = kib * mib, tib = kib * gib;
constexpr std::uint64_t ms = 1'000, second = 1'000 * ms, day = 86'400 * second;
// More descriptors than any kernel gives a process, and more members than any room has.
constexpr std::uint64_t connections_most = 1u << 30;

template <typename Value> struct optional_value {
  static constexpr bool is = false;
};
template <typename Value> struct optional_value<std::optional<Value>> {
  static constexpr bool is = true;
};

// The rules of a number that is kept in the field which At, a lambda without captures, finds in the settings. Where a word is allowed, an optional
// field is empty for it, and any other is 0.
template <typename At> number_rules number(At, number_rules rules) {
  rules.get = [](const settings& all) -> std::optional<std::uint64_t> {
    const auto& field = At{}(all);
    if constexpr (optional_value<std::remove_cvref_t<decltype(field)>>::is)
      return field ? std::optional<std::uint64_t>{*field} : std::nullopt;
    else
      return field;
  };
  rules.set = [](settings& all, std::optional<std::uint64_t> value) {
    auto& field = At{}(all);
    using type = std::remove_cvref_t<decltype(field)>;
    if constexpr (optional_value<type>::is)
      field = value ? type{static_cast<typename type::value_type>(*value)} : type{};
    else
      field = static_cast<type>(value.value_or(0));
  };
  return rules;
}

template <typename At> number_rules size(At at, std::uint64_t least, std::uint64_t most, std::string_view word = {}) {
  return number(at, {.unit = number_unit::bytes, .least = least, .most = most, .word = word});
}

// A time whose field counts in `step` microseconds, and whose plain numbers do in `plain`.
template <typename At> number_rules time(At at, std::uint64_t plain, std::uint64_t step, std::uint64_t least, std::uint64_t most) {
  return number(at, {.unit = number_unit::microseconds, .plain = plain, .step = step, .least = least, .most = most});
}

template <typename At> choice_rules choice(At, std::vector<std::string_view> words) {
  return {.words = std::move(words),
          .get = [](const settings& all) { return static_cast<std::size_t>(At{}(all)); },
          .set =
              [](settings& all, std::size_t which) {
                auto& field = At{}(all);
                field = static_cast<std::remove_cvref_t<decltype(field)>>(which);
              }};
}

template <typename At> text_rules text(At, std::string_view takes) {
  return {.takes = takes,
          .get = [](const settings& all) -> const std::string& { return At{}(all); },
          .set = [](settings& all, std::string value) { At{}(all) = std::move(value); }};
}

template <typename At> list_rules list(At, std::string_view takes, text_check check = nullptr) {
  return {.takes = takes,
          .get = [](const settings& all) -> const std::vector<std::string>& { return At{}(all); },
          .set = [](settings& all, std::vector<std::string> values) { At{}(all) = std::move(values); },
          .check = check};
}

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
  return std::unexpected(fmt::format("'{}' is no address; allowed: 127.0.0.1:8080, [::1]:8080, unix:/path, fd:3", text));
}

std::expected<void, std::string> is_origin(std::string_view text) { return check_origin(text); }

std::vector<option> declare() {
  return {
      {.name = "listen",
       .means = "where to listen, also `unix:/path`, or `fd:3`, a socket that listens already; may be given several times",
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
       .reason = "",
       .rules = list([](auto& s) -> auto& { return s.certificate_files; }, "FILE")},
      {.name = "tls-key",
       .means = "the key of the certificate at the same place (PEM)",
       .reason = "",
       .rules = list([](auto& s) -> auto& { return s.key_files; }, "FILE")},
      {.name = "tls-client-ca",
       .means = "each client must present a certificate signed by one of these (PEM)",
       .reason = "browsers have none",
       .rules = text([](auto& s) -> auto& { return s.server.tls.client_ca_file; }, "FILE")},
      {.name = "admin-listen",
       .means = "where those who run the server find `/metrics`, `/rooms`, `/connections` and publishing, which are then nowhere else; also "
                "`unix:/path`; may be given several times. Everybody who reaches it may do everything. With tokens it is `127.0.0.1:8081` by itself",
       .reason = "without tokens everybody may do everything anyway",
       .rules = list([](auto& s) -> auto& { return s.server.listen_admin; }, "ADDR:PORT", is_address)},
      {.name = "jwt-hs256-key-file",
       .means = "a secret of 32 bytes or more (a line end behind it is none of it): [tokens](#tokens) by HS256; SIGHUP reads it again",
       .reason = "",
       .rules = text([](auto& s) -> auto& { return s.tokens.hs256_key_file; }, "FILE")},
      {.name = "jwt-jwks-file",
       .means = "a JWK set (RFC 7517): tokens by its keys, HS256, EdDSA, ES256 or RS256; SIGHUP reads it again",
       .reason = "",
       .rules = text([](auto& s) -> auto& { return s.tokens.jwks_file; }, "FILE")},
      {.name = "jwt-audience",
       .means = "what a token must have in `aud`; without it a token with `aud` is refused",
       .reason = "such a token is for somebody else (RFC 7519 4.1.3)",
       .rules = text([](auto& s) -> auto& { return s.tokens.audience; }, "AUD")},
      {.name = "shards",
       .means = "threads, each with its own core and ring; `auto` is one a core, fewer where the CPU quota of the control group, locked memory or "
                "descriptors allow no more (the log says so)",
       .reason = "more than cores share them and gain nothing",
       .rules = number([](auto& s) -> auto& { return s.server.shards; }, {.least = 1, .most = connection_handle::shards_max, .word = "auto"})},
      {.name = "max-message-bytes",
       .means = "the largest message; a larger one closes with 1009",
       .reason = "holds any chat or ticker message",
       .when = may_change::at_reload,
       .rules = size([](auto& s) -> auto& { return s.server.limits.message_bytes_max; }, 1, gib)},
      {.name = "send-queue-bytes",
       .means = "how far a member of a room may be behind (the bytes of the messages that wait for it, and 16 for each of them), and how much output "
                "of its own a connection may have waiting, in the server; the kernel holds at most 128 KiB more that it has not sent, and what is on "
                "its way",
       .reason = "one message of the largest size",
       .rules = size([](auto& s) -> auto& { return s.server.limits.send_queue_bytes_max; }, kib, gib)},
      {.name = "slow-consumer",
       .means = "what happens beyond that: `close` with 1013, or it loses messages: the new ones, the oldest, all but the latest",
       .reason = "nobody loses a message without knowing it",
       .rules = choice([](auto& s) -> auto& { return s.server.policy; }, {"close", "drop-newest", "drop-oldest", "latest"})},
      {.name = "presence-members",
       .means = "in a room with more members users are counted, not told one by one",
       .reason = "what is told of them is users times members",
       .rules = number([](auto& s) -> auto& { return s.server.presence.members_max; }, {.least = 0, .most = UINT32_MAX})},
      {.name = "presence-delay-s",
       .means = "a user that has gone is told as gone so much later, unless it is back by then",
       .reason = "as long as a page takes to reload",
       .rules = time([](auto& s) -> auto& { return s.server.presence.delay_ms; }, second, ms, 0, day)},
      {.name = "history-messages",
       .means = "each room keeps its last N messages; 0 is no bound by number. History is off unless this or one of the next two is given; where "
                "several are, the strictest holds",
       .reason = "what is kept costs memory",
       .rules = number([](auto& s) -> auto& { return s.server.history.messages; }, {.least = 0, .most = tib})},
      {.name = "history-bytes",
       .means = "each room keeps its last bytes of messages, with 16 for each of them, and up to 64 KiB more; 0 is no bound",
       .reason = "the same",
       .rules = size([](auto& s) -> auto& { return s.server.history.bytes; }, 0, tib)},
      {.name = "history-seconds",
       .means = "each room keeps what was said in this time, to a second; 0 is no bound",
       .reason = "the same",
       .rules = time([](auto& s) -> auto& { return s.server.history.seconds; }, second, second, 0, 365 * day)},
      {.name = "history-total-bytes",
       .means =
           "what all rooms together may keep, an equal share for each shard; beyond it the oldest goes first, of whichever room. At most half of "
           "`--memory-bytes`",
       .reason = "peers need the rest",
       .rules = size([](auto& s) -> auto& { return s.server.history.total_bytes; }, 0, tib)},
      {.name = "compression",
       .means =
           "permessage-deflate: `off`; `shared`, each message by itself, no memory for an idle connection; `dedicated`, context takeover where the "
           "client agrees, 172 KiB a connection and fewer bytes",
       .reason = "a room's message is compressed once for all",
       .rules = choice([](auto& s) -> auto& { return s.server.compression.mode; }, {"off", "shared", "dedicated"})},
      {.name = "compression-level",
       .means = "0 (fast) to 3 (small); `auto` is 0 to one connection and 1 to a room",
       .reason = "1 takes four times as long as 0 and saves a fifth of the bytes",
       .rules = number([](auto& s) -> auto& { return s.server.compression.level; }, {.least = 0, .most = compression_level_max, .word = "auto"})},
      {.name = "compression-threshold",
       .means = "messages of fewer bytes are sent as they are; `auto` is 256, and 64 with `dedicated`",
       .reason = "short ones do not shrink",
       .rules = size([](auto& s) -> auto& { return s.server.compression.threshold_bytes; }, 0, gib, "auto")},
      {.name = "compression-window-bits",
       .means = "how far back compressed bytes may refer, as a power of two, in both directions",
       .reason = "the most that RFC 7692 knows",
       .rules = number([](auto& s) -> auto& { return s.server.compression.window_bits; }, {.least = 8, .most = 15})},
      {.name = "memory-bytes",
       .means =
           "what all shards together may hold for their peers: parts of messages and bodies, output that is not taken, compression contexts, TLS; "
           "each shard has an equal share, and above it those that hold the most are ended with 1013 or 503, which the log says; `auto` is half "
           "of the machine's memory, or of the control group's",
       .reason = "the other half is the kernel's, for sockets",
       .rules = size([](auto& s) -> auto& { return s.server.memory_bytes; }, mib, 1024 * tib, "auto")},
      {.name = "max-connections",
       .means = "connections of the whole server; the next one is answered 503 and closed (on a TLS port: only closed); 0 is no bound",
       .reason = "as many as there are descriptors",
       .rules = number([](auto& s) -> auto& { return s.server.max_connections; }, {.least = 0, .most = connections_most})},
      {.name = "max-connections-per-ip",
       .means = "the same for those from one IPv4 address, or one IPv6 network of 64 bits",
       .reason = "behind a proxy all have the proxy's",
       .rules = number([](auto& s) -> auto& { return s.server.max_connections_per_ip; }, {.least = 0, .most = connections_most})},
      {.name = "trusted-proxies",
       .means = "whose word about a request's origin counts: addresses, networks (`10.0.0.0/8`), `unix:`; may be given several times. Then "
                "`--max-connections-per-ip` counts WebSockets and event streams by the address in their `X-Forwarded-For`: the first from its end "
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
      {.name = "allowed-origin",
       .means = "from which pages browsers may connect or post, like `https://example.org`; others are answered 403; may be given several times, and "
                "without it all may",
       .reason = "a feed is for everybody",
       .when = may_change::at_reload,
       .rules = list([](auto& s) -> auto& { return s.server.allowed_origins; }, "ORIGIN", is_origin)},
      {.name = "ping-interval-s",
       .means = "a peer that was silent this long is sent a ping; 0 is never",
       .reason = "below the 60 s after which nginx and most load balancers end a silent connection",
       .when = may_change::at_reload,
       .rules = time([](auto& s) -> auto& { return s.server.limits.ping_interval_ms; }, second, ms, 0, day)},
      {.name = "pong-timeout-s",
       .means = "silence after that ping that ends the connection",
       .reason = "a telephone between two cells is back by then",
       .when = may_change::at_reload,
       .rules = time([](auto& s) -> auto& { return s.server.limits.pong_timeout_ms; }, second, ms, second, day)},
      {.name = "idle-timeout-s",
       .means = "a peer that sent no message this long, whatever it answers to pings, is closed with 1001; 0 is never",
       .reason = "who only listens sends nothing",
       .when = may_change::at_reload,
       .rules = time([](auto& s) -> auto& { return s.server.limits.idle_timeout_ms; }, second, ms, 0, day)},
      {.name = "close-timeout-s",
       .means = "how long a peer may take to answer our Close frame; also how long a stop may take as a whole",
       .reason = "many round trips, and less than process supervisors wait",
       .when = may_change::at_reload,
       .rules = time([](auto& s) -> auto& { return s.server.limits.close_timeout_ms; }, second, ms, second, day)},
      {.name = "drain-delay",
       .means = "when it is to stop, `GET /health/ready` says 503 so long while it still accepts: as long as a load balancer takes to notice",
       .reason = "without a load balancer nobody looks",
       .rules = time([](auto& s) -> auto& { return s.server.drain.delay_ms; }, second, ms, 0, day)},
      {.name = "drain-seconds",
       .means =
           "then nobody is accepted, and who is there is closed with 1001, evenly over this time; 0 is at once. What was called queued comes first",
       .reason = "20,000 that come back to another server are 2,000 handshakes a second",
       .rules = time([](auto& s) -> auto& { return s.server.drain.spread_ms; }, second, ms, 0, day)},
      {.name = "spin-us",
       .means = "how long a shard that is usually busy again within this time looks for more before it sleeps; 0 is never",
       .reason = "a wake-up costs more",
       .rules = time([](auto& s) -> auto& { return s.server.spin_us; }, 1, 1, 0, ms)},
      {.name = "coalesce-wait-us",
       .means = "after a loop turn that served 8 or more members of rooms, the longest wait for more messages; 0 is never",
       .reason = "each send carries more",
       .rules = time([](auto& s) -> auto& { return s.server.coalesce_wait_us; }, 1, 1, 0, 10 * ms)},
      {.name = "access-log",
       .means = "a JSON line for each request, and for each WebSocket and event stream when it opens and when it closes: described below the signals",
       .reason = "it grows with what peers do",
       .rules = text([](auto& s) -> auto& { return s.access_log; }, "FILE")},
      {.name = "log-format",
       .means = "`text`, or `json`: an object a line, `{\"time\",\"level\",\"message\"}`, valid whatever a peer has chosen; times are local, with "
                "their zone",
       .reason = "people read it first",
       .rules = choice([](auto& s) -> auto& { return s.log_format; }, {"text", "json"})},
      {.name = "log-level",
       .means = "what is logged, on standard error: this and what is graver",
       .reason = "few lines, none of them for a message",
       .when = may_change::at_reload,
       .rules = choice([](auto& s) -> auto& { return s.log_level; }, {"debug", "info", "warning", "error", "off"})},
  };
}

} // namespace

std::span<const option> all_options() {
  static const std::vector<option> all = declare();
  return all;
}

std::span<const command_word> all_command_words() {
  static constexpr command_word all[] = {
      {.name = "config", .takes = "FILE", .means = "reads options from this file, in TOML; the environment and the command line win over it"},
      {.name = "check-config",
       .takes = "FILE",
       .means = "says what is wrong with a file and where, and ends with 1; with 0 if nothing is. Where the environment and the command line say "
                "more, they "
                "are looked at with it"},
      {.name = "print-config", .takes = "", .means = "prints a file with every option, its default and its reason, as a beginning"},
      {.name = "print-options", .takes = "", .means = "prints this table in Markdown"},
      {.name = "version", .takes = "", .means = "prints the version"},
      {.name = "help", .takes = "", .means = "prints the options"},
  };
  return all;
}

} // namespace ringcast
