#include "engine/base/timer_wheel.hpp"

#include <ringcast/detail/assert.hpp>

#include <algorithm>
#include <bit>
#include <functional>

namespace ringcast::engine {
namespace {

constexpr std::uint64_t deadline_ms_max = (std::uint64_t{1} << 56) - 1;

bool is_empty(const timer_link& head) noexcept { return head.next == &head; }

void append(timer_link& head, timer_link& node) noexcept {
  node.prev = head.prev;
  node.next = &head;
  head.prev->next = &node;
  head.prev = &node;
}

} // namespace

timer_wheel::timer_wheel(std::uint64_t now_ms) noexcept : current_ms_(now_ms) {
  for (timer_link& head : slots_) head.prev = head.next = &head;
  expiring_.prev = expiring_.next = &expiring_;
}

void timer_wheel::arm(timer_node& node, std::uint64_t deadline_ms) noexcept {
  cancel(node);
  if (deadline_ms == never) return;
  // Two million years; the field has 56 bits.
  node.deadline_ms = std::min(deadline_ms, deadline_ms_max) & deadline_ms_max;
  link(node);
  ++armed_count_;
}

void timer_wheel::cancel(timer_node& node) noexcept {
  if (!node.armed()) return;
  unlink(node);
  --armed_count_;
}

std::uint64_t timer_wheel::next_deadline_ms() const noexcept {
  if (!is_empty(expiring_)) return static_cast<const timer_node*>(expiring_.next)->deadline_ms;
  return next_event().time_ms;
}

// One step of expire(): the next node whose time has come, or nullptr when there is none or the work is used up.
timer_node* timer_wheel::next_expired(std::uint64_t now_ms, std::size_t& work_left) noexcept {
  while (work_left != 0) {
    if (!is_empty(expiring_)) {
      auto* node = static_cast<timer_node*>(expiring_.next);
      unlink(*node);
      --armed_count_;
      --work_left;
      return node;
    }
    const event next = next_event();
    if (next.time_ms > now_ms) {
      // No slot begins before the new current time, so no node's level changes by this.
      current_ms_ = std::max(current_ms_, now_ms + 1);
      return nullptr;
    }
    timer_link& head = slots_[next.level * level_slots + next.slot];
    if (next.level == 0) {
      // The whole millisecond is set aside and counts as done, so that a callback that arms a timer for "now" gets the
      // next millisecond and not an endless loop.
      timer_link* const first = head.next;
      timer_link* const last = head.prev;
      head.prev = head.next = &head;
      expiring_.next = first;
      expiring_.prev = last;
      first->prev = last->next = &expiring_;
      slots_used_[0] &= ~(std::uint64_t{1} << next.slot);
      if (slots_used_[0] == 0) levels_used_ &= static_cast<std::uint16_t>(~1u);
      current_ms_ = next.time_ms + 1;
    } else {
      // Time enters this slot: its nodes belong to lower levels now. What the work does not suffice for stays, and
      // next_event() finds it first.
      current_ms_ = std::max(current_ms_, next.time_ms);
      for (; work_left != 0 && !is_empty(head); --work_left) {
        auto& node = static_cast<timer_node&>(*head.next);
        unlink(node);
        link(node);
      }
    }
  }
  return nullptr;
}

// The slot that must be looked at next. Every used slot of a level is at or after that of the current time, because
// slots are emptied in the order of time; at the same time the higher level goes first, for its nodes may belong into
// the slot of the lower.
timer_wheel::event timer_wheel::next_event() const noexcept {
  event next;
  for (unsigned levels = levels_used_; levels != 0; levels &= levels - 1) {
    const auto level = static_cast<unsigned>(std::countr_zero(levels));
    const unsigned shift = level * level_bits;
    const auto current_slot = static_cast<unsigned>(current_ms_ >> shift) % level_slots;
    const std::uint64_t candidates = slots_used_[level] & (~std::uint64_t{0} << current_slot);
    RINGCAST_ASSERT(candidates != 0);
    const auto slot = static_cast<unsigned>(std::countr_zero(candidates));
    const std::uint64_t block = current_ms_ >> (shift + level_bits) << (shift + level_bits);
    const std::uint64_t time_ms = block | std::uint64_t{slot} << shift;
    if (time_ms <= next.time_ms) next = {time_ms, level, slot};
  }
  return next;
}

void timer_wheel::link(timer_node& node) noexcept {
  const std::uint64_t time_ms = std::max<std::uint64_t>(node.deadline_ms, current_ms_);
  const std::uint64_t differs = time_ms ^ current_ms_;
  const unsigned level = differs == 0 ? 0 : (63u - static_cast<unsigned>(std::countl_zero(differs))) / level_bits;
  const unsigned slot = static_cast<unsigned>(time_ms >> (level * level_bits)) % level_slots;
  append(slots_[level * level_slots + slot], node);
  slots_used_[level] |= std::uint64_t{1} << slot;
  levels_used_ |= static_cast<std::uint16_t>(1u << level);
}

void timer_wheel::unlink(timer_node& node) noexcept {
  timer_link* const prev = node.prev;
  timer_link* const next = node.next;
  prev->next = next;
  next->prev = prev;
  node.prev = node.next = nullptr;
  // Only a list's head is its own neighbour on both sides, so this was the last node, and the head tells the slot.
  // The list of expiring nodes has a head that is none of the slots'.
  if (prev != next) return;
  const std::less<const timer_link*> before;
  if (before(prev, slots_.data()) || !before(prev, slots_.data() + slots_.size())) return;
  const auto index = static_cast<std::size_t>(prev - slots_.data());
  slots_used_[index / level_slots] &= ~(std::uint64_t{1} << (index % level_slots));
  if (slots_used_[index / level_slots] == 0) levels_used_ &= static_cast<std::uint16_t>(~(1u << (index / level_slots)));
}

} // namespace ringcast::engine
