// How much of its peers' input a shard handles in one turn, in bytes of work: so that nobody waits longer than a turn for its own, whatever
// a few bytes on the wire may unfold to (a deflated message, a request for a page, a message to a large room).
//
// Work is counted where it is done, by counters that only grow: bytes delivered to handlers (inflated), bytes of output that connections
// were given, and bytes of rooms' logs times the members here that they are sent to. Whoever finds the budget used up is continued in the
// next turn, in the order in which they were stopped (input_flow::stop). One a shard, on its thread.
#pragma once

#include "engine/base/limits.hpp"

#include <cstdint>

namespace ringcast::engine {

class turn_budget {
 public:
  // A message or a request that was handed over.
  void delivered(std::uint64_t bytes) { delivered_ += bytes; }
  // All that was ever delivered: the difference of two readings is what one connection was given between them.
  [[nodiscard]] std::uint64_t delivered() const { return delivered_; }

  // Bytes that were received and wait for the rest of their message: whoever sends them makes us touch as much memory. They have a budget of
  // their own, so that whoever sends whole messages does not wait behind those who send parts of large ones.
  void kept(std::uint64_t bytes) { kept_ += bytes; }
  [[nodiscard]] bool is_spent_on_parts() const { return kept_ >= kept_end_; }

  // `elsewhere` is the work that others count: what connections were given to send, and what rooms are sent.
  void begin(std::uint64_t elsewhere, std::uint64_t bytes) { end_ = delivered_ + elsewhere + bytes, kept_end_ = kept_ + turn_parts_bytes_max; }
  [[nodiscard]] bool is_spent(std::uint64_t elsewhere) const { return delivered_ + elsewhere >= end_; }

 private:
  std::uint64_t delivered_ = 0;
  std::uint64_t kept_ = 0;
  std::uint64_t end_ = 0;
  std::uint64_t kept_end_ = 0;
};

// A member's share of a room's log is a send from memory that all members share: about a sixteenth of what it costs to inflate, to check
// and to copy as many bytes.
[[nodiscard]] constexpr std::uint64_t fan_out_cost(std::uint64_t bytes_times_members) { return bytes_times_members / 16; }

} // namespace ringcast::engine
