#include "tests/sim/checkers/room_checker.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace ringcast::sim {

std::uint64_t room_checker::judge(const std::vector<const member_record*>& members, const member_record& witness, bool gaps_allowed,
                                  std::vector<std::string>& failures) const {
  // Whatever else holds: nobody hears a message twice or of nobody, and no two members disagree about an order.
  for (const member_record* member : members) {
    std::set<said> seen;
    for (const said what : member->heard) {
      if (!seen.insert(what).second) failures.push_back(fmt::format("{}: member {} heard {}/{} twice", name_, member->id, what.sender, what.number));
      if (!sent_at_.contains(what))
        failures.push_back(fmt::format("{}: member {} heard {}/{}, which nobody said", name_, member->id, what.sender, what.number));
    }
  }
  for (std::size_t i = 0; i + 1 < members.size(); ++i) judge_pair(*members[i], *members[i + 1], failures);
  if (!witness.healthy) return 0;

  std::map<said, std::size_t> place;
  for (std::size_t i = 0; i < witness.heard.size(); ++i) place[witness.heard[i]] = i;
  // Each sender's own messages stand in the order in which it sent them.
  std::map<std::uint32_t, std::uint32_t> last;
  for (const said what : witness.heard) {
    const auto [found, first] = last.try_emplace(what.sender, what.number);
    if (!first && found->second >= what.number)
      failures.push_back(fmt::format("{}: {} said {} before {}", name_, what.sender, what.number, found->second));
    found->second = what.number;
  }
  std::uint64_t gaps = 0;
  for (const member_record* member : members)
    if (member != &witness) gaps += judge_member(*member, witness.heard, place, gaps_allowed, failures);
  return gaps;
}

std::uint64_t room_checker::judge_member(const member_record& member, const std::vector<said>& log, const std::map<said, std::size_t>& place,
                                         bool gaps_allowed, std::vector<std::string>& failures) const {
  if (!member.opened) return 0;
  // Messages that were sent after this member was in the room are due to it.
  std::size_t due = log.size();
  for (std::size_t i = log.size(); i > 0; --i)
    if (sent_at_.at(log[i - 1]) > member.opened_at) due = i - 1;
  std::size_t next = due; // the first place of the log that it has not heard
  bool started = false;
  std::uint64_t gaps = 0;
  // Between its seat and its being open it is sent messages that are not due; it may be told of those, too.
  std::uint64_t told_early = 0;
  const auto skip_to = [&](std::size_t target) {
    for (; next < target; ++next) {
      if (!member.hears_itself && log[next].sender == member.id) continue;
      ++gaps;
      if (!gaps_allowed)
        failures.push_back(fmt::format("{}: member {} did not hear {}/{} (place {})", name_, member.id, log[next].sender, log[next].number, next));
    }
  };
  for (const said what : member.heard) {
    if (!member.hears_itself && what.sender == member.id) failures.push_back(fmt::format("{}: member {} heard itself", name_, member.id));
    const auto found = place.find(what);
    if (found == place.end()) {
      failures.push_back(fmt::format("{}: member {} heard {}/{}, which the witness did not", name_, member.id, what.sender, what.number));
      continue;
    }
    const std::size_t at = found->second;
    if (!started) {
      next = std::min(at, due);
      told_early = next;
    }
    started = true;
    if (at < next) {
      failures.push_back(fmt::format("{}: member {} heard {}/{} out of order", name_, member.id, what.sender, what.number));
      continue;
    }
    skip_to(at);
    next = at + 1;
  }
  if (!member.healthy) return gaps;
  skip_to(log.size());
  // Its own messages have numbers in the room, too, also where it does not hear them.
  if (member.wants_gaps && member.hears_itself && (member.told_lost < gaps || member.told_lost > gaps + told_early))
    failures.push_back(fmt::format("{}: member {} was told of {} lost messages and has lost {}", name_, member.id, member.told_lost, gaps));
  return gaps;
}

void room_checker::judge_pair(const member_record& one, const member_record& other, std::vector<std::string>& failures) const {
  std::map<said, std::size_t> place;
  for (std::size_t i = 0; i < one.heard.size(); ++i) place[one.heard[i]] = i;
  std::size_t next = 0;
  for (const said what : other.heard) {
    const auto found = place.find(what);
    if (found == place.end()) continue;
    if (found->second < next)
      failures.push_back(fmt::format("{}: members {} and {} disagree about the order of {}/{}", name_, one.id, other.id, what.sender, what.number));
    next = found->second + 1;
  }
}

} // namespace ringcast::sim
