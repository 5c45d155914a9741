// Who may join a room, and who may publish there, where a table [[room]] says so. A plain value; its words are those of the table.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ringcast {

struct token_claims;

struct who_may {
  bool anyone = false;
  bool with_token = false; // whatever rooms it names
  bool as_claimed = false; // whose token names the room
  std::vector<std::string> users; // patterns, in which * stands for anything

  // Of words that are right.
  explicit who_may(const std::vector<std::string>& words);
  // Whether somebody with these claims may; `claimed` is what they say themselves.
  [[nodiscard]] bool permits(const token_claims& claims, bool claimed) const;
  // Whether a token could help.
  [[nodiscard]] bool asks_for_token() const { return with_token || as_claimed || !users.empty(); }
};

// Of the rooms whose names match.
struct room_rights {
  std::string pattern;
  std::optional<who_may> join{}, publish{}; // not given: who has a token as it says, and where there are no tokens everybody
};

// Whether a word can stand there: anyone, token, claims, user:PATTERN, nobody.
[[nodiscard]] std::expected<void, std::string> check_who_may(std::string_view word);
// Whether they can be kept without tokens.
[[nodiscard]] std::expected<void, std::string> check_rights(const std::vector<room_rights>& rooms, bool has_tokens);

} // namespace ringcast
