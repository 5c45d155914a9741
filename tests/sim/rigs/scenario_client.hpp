// One scripted client of a scenario: a peer, what it is there for, and what it remembers for the judgement.
#pragma once

#include "tests/sim/checkers/chat_checker.hpp"
#include "tests/sim/checkers/room_checker.hpp"
#include "tests/sim/rigs/peer.hpp"

#include <deque>
#include <string>

namespace ringcast::sim {

enum class client_kind : std::uint8_t {
  echo,      // sends to /echo and expects each message back
  talker,    // a member of a broadcast room
  chatter,   // a member of the chat room, with a name that others want, too
  publisher, // posts messages over HTTP, one after the other on one connection
  vandal,    // breaks the rules, or stops in the middle; only the others are judged
};

struct scenario_client {
  scenario_client(kernel& world, client_kind k) : p(world), kind(k) {}

  peer p;
  client_kind kind;
  bool slow = false;
  bool asks = false;      // publisher: an answer is awaited
  std::uint32_t room = 0;
  std::uint32_t next_number = 0;
  bool witness = false;   // it is spared all faults and keeps up
  member_record record;
  chat_record chat;
  std::deque<peer_message> echoes; // sent and not yet heard

  bool is_member() const { return kind == client_kind::talker && p.now() == peer::state::open; }
  // Nothing it waits for, nothing it still has to write.
  bool is_quiet() const {
    if (p.is_over() || kind == client_kind::vandal) return true;
    if (p.has_unsent() || asks || p.pongs_missing() != 0) return false;
    return p.now() == peer::state::open || (kind == client_kind::publisher && p.now() == peer::state::asking);
  }
};

} // namespace ringcast::sim
