// The proof: every message that was to arrive somewhere is accounted for, at each receiver and for each sender.
//
// The next number that a receiver expects from a sender is kept for each pair of them. A later number opens a gap; a
// number from a gap came out of order; any other number from the past is a repetition. What never came is lost.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace ringcast::load {

struct proof {
  std::uint64_t sent = 0;
  std::uint64_t expected = 0;  // Deliveries that the messages sent must cause.
  std::uint64_t delivered = 0; // Deliveries that came, each counted once.
  std::uint64_t lost = 0;
  std::uint64_t duplicated = 0;
  std::uint64_t reordered = 0;
  std::uint64_t corrupted = 0;

  [[nodiscard]] bool holds() const { return lost + duplicated + reordered + corrupted == 0; }
  void add(const proof& other) {
    sent += other.sent;
    expected += other.expected;
    delivered += other.delivered;
    lost += other.lost;
    duplicated += other.duplicated;
    reordered += other.reordered;
    corrupted += other.corrupted;
  }
};

enum class arrival : std::uint8_t { in_order, after_gap, late, repeated };

class ledger {
 public:
  explicit ledger(std::size_t pairs = 0) : expected_(pairs) {}

  // The number that this pair expects next.
  [[nodiscard]] std::uint32_t expects(std::size_t pair) const { return expected_[pair]; }

  // Takes a number into account. in_order and after_gap and late are deliveries, repeated is none.
  arrival take(std::size_t pair, std::uint32_t number) {
    std::uint32_t& expected = expected_[pair];
    if (number != expected) [[unlikely]]
      return take_out_of_order(pair, number);
    expected = number + 1;
    return arrival::in_order;
  }

 private:
  arrival take_out_of_order(std::size_t pair, std::uint32_t number);

  static constexpr std::size_t gap_numbers_max = 100'000; // A server that loses more than that is known well enough.
  std::vector<std::uint32_t> expected_;
  std::unordered_map<std::size_t, std::unordered_set<std::uint32_t>> gaps_;
};

} // namespace ringcast::load
