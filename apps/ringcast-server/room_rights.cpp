#include "apps/ringcast-server/room_rights.hpp"

#include "apps/ringcast-server/token.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

namespace ringcast {

namespace {

constexpr std::string_view user_prefix = "user:";

} // namespace

who_may::who_may(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    anyone |= word == "anyone";
    with_token |= word == "token";
    as_claimed |= word == "claims";
    if (word.starts_with(user_prefix)) users.push_back(word.substr(user_prefix.size()));
  }
}

// Who is nobody in particular matches no pattern of users, not even "*".
bool who_may::permits(const token_claims& claims, bool claimed) const {
  if (anyone || with_token || (as_claimed && claimed)) return true;
  return !claims.user.empty() && std::ranges::any_of(users, [&](const std::string& pattern) { return matches_pattern(pattern, claims.user); });
}

std::expected<void, std::string> check_who_may(std::string_view word) {
  if (word == "anyone" || word == "token" || word == "claims" || word == "nobody") return {};
  if (word.starts_with(user_prefix) && word.size() > user_prefix.size()) return {};
  return std::unexpected(fmt::format("'{}' is nobody; allowed: anyone, token, claims, user:PATTERN, nobody", word));
}

std::expected<void, std::string> check_rights(const std::vector<room_rights>& rooms, bool has_tokens) {
  for (const room_rights& each : rooms)
    for (const auto& [key, who] : {std::pair{"join", &each.join}, std::pair{"publish", &each.publish}})
      if (!has_tokens && *who && (*who)->asks_for_token())
        return std::unexpected(
            fmt::format("[[room]] {:?}: {} asks for tokens, and --jwt-hs256-key-file and --jwt-jwks-file are not given", each.pattern, key));
  return {};
}

} // namespace ringcast
