// Of the library's own; here because every wait with a deadline has one inside of itself. Not for programs.
//
// What a timer_wheel (engine/base/timer_wheel.hpp) links: its nodes are members of what they time.
#pragma once

#include <cstdint>

namespace ringcast::engine {

struct timer_link {
  timer_link* prev = nullptr;
  timer_link* next = nullptr;
};

// One timer, 24 bytes, a member of what it times. It must not move or die while armed: cancel it first.
struct timer_node : timer_link {
  timer_node() noexcept : deadline_ms(0), kind(0) {}
  explicit timer_node(std::uint8_t k) noexcept : deadline_ms(0), kind(k) {}
  timer_node(const timer_node&) = delete;
  timer_node& operator=(const timer_node&) = delete;

  [[nodiscard]] bool armed() const noexcept { return prev != nullptr; }

  std::uint64_t deadline_ms : 56; // set by arm()
  std::uint64_t kind : 8;         // the user's: how the callback knows what the node is a member of
};
static_assert(sizeof(timer_node) == 24);

} // namespace ringcast::engine
