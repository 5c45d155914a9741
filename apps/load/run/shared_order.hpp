// The one order of a room, as it is known so far: what the first connection that came to a position heard there. Shared by all workers. It
// remembers the newest million positions and no more; who is further behind than that is not judged.
#pragma once

#include "apps/load/run/shared_memory.hpp"

#include <atomic>
#include <cstdint>
#include <optional>

namespace ringcast::load {

struct heard_message {
  std::uint32_t sender = 0;
  std::uint32_t number = 0;
  friend bool operator==(const heard_message&, const heard_message&) = default;
};

class shared_order {
 public:
  static constexpr std::uint32_t positions = 1u << 20;
  static constexpr std::uint32_t senders_max = 1u << 20;

  // What stands at this position, which is `mine` if nobody was there before. Nothing if it is not remembered any more.
  std::optional<heard_message> take(std::uint64_t position, heard_message mine) {
    std::atomic<std::uint64_t>& place = places_[position % positions];
    const std::uint64_t lap = position / positions % laps;
    std::uint64_t found = place.load(std::memory_order_relaxed);
    while (true) {
      if (found != 0) {
        const std::uint64_t ahead = (lap_of(found) + laps - lap) % laps;
        if (ahead == 0) return message_of(found);
        if (ahead < laps / 2) return {};
      }
      if (place.compare_exchange_weak(found, word_of(lap, mine), std::memory_order_relaxed)) return mine;
    }
  }

 private:
  // One word: the lap of the position and 1, the sender, the number. 0: nobody has been here.
  static constexpr std::uint64_t laps = 4095;
  static constexpr unsigned sender_shift = 32, lap_shift = 52;

  static std::uint64_t word_of(std::uint64_t lap, heard_message m) {
    return (lap + 1) << lap_shift | std::uint64_t{m.sender} << sender_shift | m.number;
  }
  static std::uint64_t lap_of(std::uint64_t word) { return (word >> lap_shift) - 1; }
  static heard_message message_of(std::uint64_t word) {
    return {.sender = static_cast<std::uint32_t>(word >> sender_shift) & (senders_max - 1), .number = static_cast<std::uint32_t>(word)};
  }

  zero_pages<std::atomic<std::uint64_t>> places_{positions, sharing::with_children};
};

} // namespace ringcast::load
