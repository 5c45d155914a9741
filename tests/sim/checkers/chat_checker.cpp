#include "tests/sim/checkers/chat_checker.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace ringcast::sim {

namespace {

void judge_presence(const chat_record& witness, const std::vector<const chat_record*>& members, std::vector<std::string>& failures) {
  std::set<std::string> present;
  for (const std::string& line : witness.lines) {
    const std::string name = line.substr(0, line.find_first_of(": "));
    const std::string_view rest = std::string_view{line}.substr(name.size());
    if (rest == " joined") {
      if (!present.insert(name).second) failures.push_back(fmt::format("chat: '{}' joined twice", name));
    } else if (!present.contains(name)) {
      failures.push_back(fmt::format("chat: '{}' is not there, and: {}", name, line.substr(0, 60)));
    } else if (rest == " left") {
      present.erase(name);
    } else if (!rest.starts_with(": ")) {
      failures.push_back(fmt::format("chat: a line of no known kind: {}", line.substr(0, 60)));
    }
  }
  std::set<std::string> standing{witness.name};
  for (const chat_record* member : members)
    if (member->healthy && !standing.insert(member->name).second) failures.push_back(fmt::format("chat: two members are named '{}'", member->name));
  if (standing != present) failures.push_back(fmt::format("chat: {} members are there, and by what was said {}", standing.size(), present.size()));
}

bool is_heard_from(const std::vector<std::string>& log, std::size_t first, const std::vector<std::string>& lines) {
  return first + lines.size() <= log.size() && std::equal(lines.begin(), lines.end(), log.begin() + static_cast<std::ptrdiff_t>(first));
}

void judge_member(const std::vector<std::string>& log, const chat_record& member, bool gaps_allowed, std::vector<std::string>& failures) {
  const auto fail = [&](std::string_view why) {
    failures.push_back(fmt::format("chat: '{}' heard {} lines of {}, {}", member.name, member.lines.size(), log.size(), why));
  };
  if (gaps_allowed) {
    std::size_t next = 0;
    for (const std::string& line : log)
      if (next < member.lines.size() && member.lines[next] == line) ++next;
    if (next < member.lines.size()) fail("not in the order of the witness");
    return;
  }
  if (member.healthy) {
    if (member.lines.size() > log.size() || !is_heard_from(log, log.size() - member.lines.size(), member.lines))
      fail("not the last ones of the witness");
    if (std::ranges::find(member.lines, member.name + " joined") == member.lines.end()) fail("not its own joining");
    return;
  }
  for (std::size_t first = 0; first + member.lines.size() <= log.size(); ++first)
    if (is_heard_from(log, first, member.lines)) return;
  fail("not in one piece");
}

} // namespace

void judge_chat(const chat_record& witness, const std::vector<const chat_record*>& members, bool gaps_allowed, std::vector<std::string>& failures) {
  judge_presence(witness, members, failures);
  for (const chat_record* member : members) judge_member(witness.lines, *member, gaps_allowed, failures);
}

} // namespace ringcast::sim
