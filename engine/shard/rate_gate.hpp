// How fast WebSockets may send: the token buckets of each, and what happens to those that are faster. One a shard, on its thread.
//
// Whoever is to be pushed back is stopped as in input_flow::stop(), but not looked at again before its time: the connection's own timer says when
// (connection_watch), so waiting costs no turn.
#pragma once

#include "engine/base/token_bucket.hpp"
#include "engine/connection/connection.hpp"
#include "engine/shard/connection_rules.hpp"
#include "engine/shard/connection_timers.hpp"
#include "engine/shard/handlers.hpp"
#include "engine/shard/shard_counters.hpp"
#include "engine/shard/turn_clock.hpp"
#include <ringcast/message.hpp>

#include <cstdint>
#include <string_view>
#include <vector>

namespace ringcast::engine {

class input_flow;
class peer_book;
class websocket_side;

class rate_gate {
 public:
  struct needs {
    const connection_rules& rules;
    connection_timers& timers;
    input_flow& input;
    peer_book& peers;
    websocket_side& websockets;
    handlers& users;
    const turn_clock& clock;
    shard_counters& counters;
  };
  explicit rate_gate(const needs& with) : with_(with) {}

  // Of a WebSocket that opens, and of one whose limits have changed: its buckets are full.
  void begin(connection& c);
  // Whether it is worth asking. A shard without such limits knows nobody, and then this is one comparison.
  [[nodiscard]] bool knows(const connection& c) const { return c.slot < slots_ && !c.is_client; }
  // A message, or a part of one, before it is handed over. False: it is not.
  [[nodiscard]] bool admit(connection& c, const message_view& view);
  [[nodiscard]] bool admit_join(const connection& c);
  // Of its messages so many were not published, because their room is said more than it may be.
  void note_refused(connection& c, std::uint32_t messages);
  // It is not read until look() lets it go on.
  [[nodiscard]] bool is_paused(const connection& c) const { return knows(c) && by_slot_[c.slot].paused_until_ms != 0; }
  // What was dropped since it was told.
  [[nodiscard]] std::uint64_t take_dropped(const connection& c);
  // When the connection's timer expires: in how many milliseconds it is looked at again.
  [[nodiscard]] std::uint64_t look(connection& c);

  static constexpr std::uint64_t never = UINT64_MAX;
  static constexpr std::string_view joins_too_fast = "it joins rooms faster than it may";

 private:
  // Of a connection on a shard that limits any.
  struct buckets {
    token_bucket messages, bytes, joins;
    std::uint64_t paused_until_ms = 0; // 0: it is not
    std::uint64_t dropped = 0;
    std::uint64_t told_next_ms = 0; // of what was dropped
  };

  [[nodiscard]] buckets& buckets_of(const connection& c);
  [[nodiscard]] over_rate policy_of(const connection& c, const rate_limits& limits) const;
  void pause(connection& c, buckets& of, const rate_limits& limits);
  void note_dropped(connection& c, buckets& of, std::uint64_t messages);
  void close(connection& c);

  const needs with_;
  std::vector<buckets> by_slot_; // empty unless somebody's rate is limited
  std::uint32_t slots_ = 0;      // of by_slot_
};

} // namespace ringcast::engine
