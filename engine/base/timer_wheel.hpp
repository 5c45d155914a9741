// The timers of a shard: a hierarchical timing wheel (G. Varghese and T. Lauck, "Hashed and Hierarchical Timing
// Wheels", SOSP 1987) with a resolution of one millisecond.
//
// Ten levels of 64 slots. Level 0 has a slot for each of the 64 milliseconds of the current block, level 1 one for
// each block of 64 ms around it, and so on: a timer lies at the level of the highest group of six bits in which its
// deadline differs from the current time. When time enters a slot of a higher level, its timers move down. So arming
// and cancelling cost the same for ten timers and for a million, and a timer moves at most nine times, most of them
// never, because most timers are cancelled long before.
//
// The wheel owns no memory but its slots: timers are nodes inside whatever they belong to. One thread.
#pragma once

#include <ringcast/detail/timer_node.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace ringcast::engine {

class timer_wheel {
 public:
  static constexpr std::uint64_t never = ~std::uint64_t{0};
  static constexpr std::size_t work_max_default = 4096;

  // `now_ms` is the time at which the wheel starts, of the same clock as all later times.
  explicit timer_wheel(std::uint64_t now_ms) noexcept;
  timer_wheel(const timer_wheel&) = delete;
  timer_wheel& operator=(const timer_wheel&) = delete;

  // Arms the node, or moves it when it is armed already. A deadline that has passed expires at the next millisecond
  // that expire() has not yet done. `never` disarms it.
  void arm(timer_node& node, std::uint64_t deadline_ms) noexcept;

  // Disarms the node. Nothing happens when it is not armed.
  void cancel(timer_node& node) noexcept;

  // Calls on_expired(timer_node&) for every node whose deadline is not after `now_ms`, in the order of deadlines
  // (without an order within one millisecond). The node is disarmed before its call, which may arm and cancel this and
  // any other node, and may destroy it.
  //
  // At most `work_max` nodes are touched, expired or moved down a level, so that one call cannot hold up the loop.
  // Returns how many expired. If work is left, next_deadline_ms() says so by a time that is not after `now_ms`.
  template <class OnExpired> std::size_t expire(std::uint64_t now_ms, OnExpired&& on_expired, std::size_t work_max = work_max_default) {
    std::size_t expired = 0;
    while (timer_node* node = next_expired(now_ms, work_max)) {
      ++expired;
      on_expired(*node);
    }
    return expired;
  }

  // When expire() should be called next, or `never`. It is a lower bound: for timers more than a block away it is the
  // time at which they must move down, so an early call may expire nothing.
  [[nodiscard]] std::uint64_t next_deadline_ms() const noexcept;

  // How many nodes are armed.
  [[nodiscard]] std::size_t armed_count() const noexcept { return armed_count_; }

 private:
  static constexpr unsigned level_bits = 6;
  static constexpr unsigned level_slots = 1u << level_bits;
  static constexpr unsigned level_count = 10; // 60 bits, more than a deadline has

  struct event {
    std::uint64_t time_ms = never;
    unsigned level = 0;
    unsigned slot = 0;
  };

  [[nodiscard]] timer_node* next_expired(std::uint64_t now_ms, std::size_t& work_left) noexcept;
  [[nodiscard]] event next_event() const noexcept;
  void link(timer_node& node) noexcept;
  void unlink(timer_node& node) noexcept;

  std::uint64_t current_ms_; // every millisecond before it is done
  std::size_t armed_count_ = 0;
  std::uint16_t levels_used_ = 0;                           // bit L: level L has a node
  std::array<std::uint64_t, level_count> slots_used_{};     // bit S: slot S of the level has a node
  timer_link expiring_;                                     // nodes whose millisecond has come, not yet called
  std::array<timer_link, level_count * level_slots> slots_; // heads of circular lists
};

} // namespace ringcast::engine
