// What the members of a chat room heard, judged against a witness that sits in it from the beginning: a name is there
// once at a time, it says nothing before it joined and after it left, and everybody hears the same lines in the same
// order.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ringcast::sim {

struct chat_record {
  std::string name;
  bool healthy = false; // at the end its connection stands
  std::vector<std::string> lines;
};

// Appends one sentence for each rule that is broken. `gaps_allowed`: the slow-consumer policy may take lines from a
// member, not from the witness.
void judge_chat(const chat_record& witness, const std::vector<const chat_record*>& members, bool gaps_allowed, std::vector<std::string>& failures);

} // namespace ringcast::sim
