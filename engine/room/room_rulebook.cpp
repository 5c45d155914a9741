#include "engine/room/room_rulebook.hpp"

namespace ringcast {

// Behind a * that does not fit here the search goes on one byte later; only the last * that was passed is ever gone back to.
bool matches_room_pattern(std::string_view pattern, std::string_view name) noexcept {
  constexpr std::size_t none = std::string_view::npos;
  std::size_t p = 0, n = 0, star = none, from = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      from = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
    } else if (star != none) {
      p = star + 1;
      n = ++from;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == none;
}

namespace engine {

namespace {

rules_of_room with(rules_of_room rules, const room_rules& said) {
  if (said.policy) rules.policy = *said.policy;
  if (said.behind_bytes_max) rules.behind_bytes_max = *said.behind_bytes_max;
  if (said.history) rules.history = *said.history;
  if (said.message_bytes_max) rules.message_bytes_max = *said.message_bytes_max;
  if (said.members_max && *said.members_max != 0) rules.members_max = *said.members_max;
  if (said.presence) rules.presence = *said.presence;
  if (said.messages) rules.messages = *said.messages;
  if (said.cluster) rules.cluster = *said.cluster;
  return rules;
}

} // namespace

room_rulebook::room_rulebook(const rules_of_room& others, const room_patterns& patterns)
    : others_(others), keeps_history_(others.history.is_on()), has_cluster_(others.cluster) {
  for (const auto& [pattern, said] : patterns) {
    const entry& made = entries_.emplace_back(entry{pattern, with(others, said)});
    keeps_history_ |= made.rules.history.is_on();
    has_cluster_ |= made.rules.cluster;
  }
}

const rules_of_room& room_rulebook::of(std::string_view room) const noexcept {
  for (const entry& e : entries_)
    if (matches_room_pattern(e.pattern, room)) return e.rules;
  return others_;
}

} // namespace engine
} // namespace ringcast
