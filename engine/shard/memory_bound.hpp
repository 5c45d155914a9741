// The machine's memory and the program's allocator, as far as a server needs to know them.
#pragma once

#include <ringcast/memory_purge.hpp>

#include <cstdint>

namespace ringcast::engine {

// Half of what this process may use: of the machine's memory, or of its control group's limit where that is less.
[[nodiscard]] std::uint64_t default_memory_bytes();

// What set_memory_purge() has set, or trim_c_heap().
void purge_memory();

} // namespace ringcast::engine
