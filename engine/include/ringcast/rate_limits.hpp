// How fast peers may say something, or come: token buckets. Plain values.
#pragma once

#include <cstdint>

namespace ringcast {

// A bucket that holds `burst` and gets `per_s` of it back each second, evenly. It begins full. More than 2^40 of either counts as 2^40.
struct rate_limit {
  std::uint64_t per_s = 0; // 0: there is no limit
  std::uint64_t burst = 0; // 0: as much as one second brings

  [[nodiscard]] bool is_on() const { return per_s != 0; }
  friend bool operator==(const rate_limit&, const rate_limit&) = default;
};

// What happens to a connection that sends faster than that.
enum class over_rate : std::uint8_t {
  // It is not read until there is something in the bucket again, and TCP pushes back. Its pings are not answered meanwhile either.
  push_back,
  // Its messages are dropped, and it is told how many: websocket_endpoint::on_dropped. Nothing is dropped in silence, so where an endpoint has no
  // on_dropped, or takes messages in parts, and in coroutines, this pushes back.
  drop,
  close, // with 1008
};

// Of one WebSocket. A message passes when a whole one is in the bucket of messages and at least a byte in that of bytes. It takes what it has, so a
// message that is larger than what is left is not refused: what it owes is paid before the next one passes.
struct rate_limits {
  rate_limit messages{}; // text and binary, whole, however many fragments they came in; control frames are not counted
  rate_limit bytes{};    // of their payloads as they are handed over: inflated
  rate_limit joins{}; // seats in rooms that an open connection asks for, in either face; one more is refused with a sentence, whatever the policy
  over_rate policy = over_rate::push_back; // of messages and bytes

  [[nodiscard]] bool limit_messages() const { return messages.is_on() || bytes.is_on(); }
  [[nodiscard]] bool is_on() const { return limit_messages() || joins.is_on(); }
  friend bool operator==(const rate_limits&, const rate_limits&) = default;
};

} // namespace ringcast
