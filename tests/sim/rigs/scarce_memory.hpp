// Allocations that fail, as the test says: this program's operator new.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ringcast::sim {

// Of the allocations of at least `bytes_min` from now on the one with this number fails (from 1), once.
void fail_allocation(std::uint64_t number, std::size_t bytes_min);
// Whether it has; and nothing fails any more.
bool end_of_failing();
// The sanitizers bring their own operator new: nothing fails there.
[[nodiscard]] bool allocations_can_fail();

} // namespace ringcast::sim
