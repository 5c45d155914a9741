// What the members of one room were sent, judged against each other.
//
// One member, the witness, sits in the room from the beginning and keeps up; what it heard is the room's log. Everybody
// else must have heard the same messages in the same order, each once; without a gap, unless the room's policy makes gaps.
#pragma once

#include "tests/sim/rigs/payload.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace ringcast::sim {

struct member_record {
  std::uint32_t id = 0;
  bool hears_itself = true;
  bool sends_in_order = true;
  std::uint64_t opened_at = 0; // in events of the run
  bool opened = false;
  bool wants_gaps = false;      // it asked to be told what the policy took from it
  std::uint64_t told_lost = 0;  // how many messages it was told of
  bool healthy = false;        // at the end of the run its connection stands and everything was read
  std::vector<said> heard;
};

class room_checker {
 public:
  explicit room_checker(std::string name) : name_(std::move(name)) {}

  void was_sent(said what, std::uint64_t at) { sent_at_[what] = at; }

  // Appends one sentence for each rule that is broken. `gaps_allowed`: the policy may take messages from a member.
  // Answers how many messages were taken from members that stand at the end.
  std::uint64_t judge(const std::vector<const member_record*>& members, const member_record& witness, bool gaps_allowed,
                      std::vector<std::string>& failures) const;

 private:
  std::uint64_t judge_member(const member_record& member, const std::vector<said>& log, const std::map<said, std::size_t>& place, bool gaps_allowed,
                             std::vector<std::string>& failures) const;
  void judge_pair(const member_record& one, const member_record& other, std::vector<std::string>& failures) const;

  std::string name_;
  std::map<said, std::uint64_t> sent_at_;
};

} // namespace ringcast::sim
