// A token that somebody shows: a JWT (RFC 7519) in the compact form of JWS (RFC 7515 3.1), checked from its bytes to its claims. No state, no
// clock and no socket; what is asked for it, and where, is token_gate.hpp.
#pragma once

#include "apps/ringcast-server/token_keys.hpp"

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ringcast {

// Before anything is decoded. A head may have lines of 8 KiB, and a token with some hundred rooms has two.
constexpr std::size_t token_bytes_max = 8192;
// Clocks of two machines differ; RFC 7519 4.1.4 allows some leeway, "usually no more than a few minutes".
constexpr std::int64_t token_skew_s = 30;

// Why a request that needs a token is not served. All but `missing` and `room` are RFC 6750's invalid_token.
enum class token_refusal : std::uint8_t {
  missing,       // there is none
  several,       // more than one, in different places (RFC 6750 2)
  too_large,     // over token_bytes_max
  malformed,     // not three parts of base64url, joined by dots
  json,          // header or claims are no JSON object whose members stand there once
  critical,      // it wants something to be understood that is not (RFC 7515 4.1.11)
  algorithm,     // not the one of the key: "none" is nobody's
  unknown_key,   // no key has its kid, or it has none and every key does
  signature,     // not by this key
  claims,        // a claim of another type than it should have
  audience,      // for somebody else (RFC 7519 4.1.3)
  expired,       // exp
  not_yet_valid, // nbf
  room,          // it is good, and not for this
  user,          // somebody else is named beside it: by ?user=, ?name=, or the certificate of the client
  certificate,   // that of the client names nobody who could be a user
};
constexpr std::size_t token_refusals = 16;
[[nodiscard]] std::string_view name_of(token_refusal why);     // a label: "unknown_key"
[[nodiscard]] std::string_view sentence_of(token_refusal why); // without quotes and full stop

struct token_claims {
  std::string user;                        // sub; empty: nobody in particular
  bool user_by_certificate = false;        // it is not sub, but the client's certificate names it
  std::vector<std::string> rooms, publish; // patterns of the rooms that may be joined and read, and of those that may be published to
  std::optional<std::int64_t> expires_s;   // exp, in seconds since 1970

  [[nodiscard]] bool may_join(std::string_view room) const;
  [[nodiscard]] bool may_publish(std::string_view room) const;
};

// Who is asked for: with an audience a token must name it, without one it must name none.
[[nodiscard]] std::expected<token_claims, token_refusal> check_token(std::string_view token, const token_keys& keys, std::string_view audience,
                                                                     std::int64_t now_s);

// What an application says that somebody may do: a JSON object with the members user, rooms, publish and expires, which are what the claims sub, rooms,
// publish and exp of a token are. Nothing if it is anything else.
[[nodiscard]] std::optional<token_claims> read_permission(std::string_view text);

// Whether the room is one of the pattern's: literally, where a * stands for any characters, also none, also a slash.
[[nodiscard]] bool matches_pattern(std::string_view pattern, std::string_view room);

} // namespace ringcast
