// Whether a shard that has nothing to do looks again at once or sleeps.
//
// To sleep and be woken costs some microseconds of latency and as much CPU again (kernel-notes/ring.md). Where the next
// completion usually comes sooner than that, looking for as long is cheaper for everybody; where it does not, hardly
// any time is spent on it: looks that found something earn further looks, those that did not lose them, and a shard
// that has none left tries one pause in so many.
#pragma once

#include <algorithm>
#include <cstdint>

namespace ringcast::engine {

// One thread. Reads no clock: it is told the time.
class idle_spin {
 public:
  // `limit_ns`: how long one pause is looked at; 0: every pause is slept through.
  explicit idle_spin(std::uint64_t limit_ns) : limit_ns_(limit_ns) {}

  // Something has happened, so the pause is over.
  void on_found() {
    if (looking_) credit_ = std::min(credit_ + found_earns, credit_max);
    looking_ = empty_look_ = false;
  }

  // Nothing is there to do: true to look again without waiting, false to sleep until something happens.
  [[nodiscard]] bool look_again(std::uint64_t now_ns) {
    if (limit_ns_ == 0) return false;
    if (!looking_) {
      if (credit_ == 0 && ++pauses_slept_ % pauses_until_trial != 0) return false;
      looking_ = true;
      return true;
    }
    // The first look also submits what the turn has gathered, which takes its time: the pause begins when that look
    // came back empty.
    if (!empty_look_) {
      empty_look_ = true;
      began_ns_ = now_ns;
    }
    if (now_ns - began_ns_ < limit_ns_) return true;
    credit_ -= std::min(credit_, lost_costs);
    looking_ = empty_look_ = false;
    return false;
  }

 private:
  // Two of three looks must find something for a shard to go on looking at each pause.
  static constexpr std::uint32_t found_earns = 1;
  static constexpr std::uint32_t lost_costs = 2;
  static constexpr std::uint32_t credit_max = 16;
  static constexpr std::uint32_t pauses_until_trial = 32;

  std::uint64_t limit_ns_;
  std::uint64_t began_ns_ = 0;
  std::uint32_t credit_ = 0;
  std::uint32_t pauses_slept_ = 0;
  bool looking_ = false;
  bool empty_look_ = false;
};

} // namespace ringcast::engine
