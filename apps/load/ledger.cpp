#include "apps/load/ledger.hpp"

namespace ringcast::load {

arrival ledger::take_out_of_order(std::size_t pair, std::uint32_t number) {
  std::uint32_t& expected = expected_[pair];
  if (number > expected) {
    auto& missing = gaps_[pair];
    for (; expected < number && missing.size() < gap_numbers_max; ++expected) missing.insert(expected);
    expected = number + 1;
    return arrival::after_gap;
  }
  const auto gap = gaps_.find(pair);
  return gap != gaps_.end() && gap->second.erase(number) ? arrival::late : arrival::repeated;
}

} // namespace ringcast::load
