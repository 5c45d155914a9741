// The machine's memory and the program's allocator, as far as a server needs to know them.
#pragma once

#include <cstdint>

namespace ringcast {

// Half of what this process may use: of the machine's memory, or of its control group's limit where that is less.
[[nodiscard]] std::uint64_t default_memory_bytes();

// Called on a shard's thread when it has become quiet after it freed much: tells the allocator to give to the kernel what it keeps. A program
// whose operator new is not the C library's sets its own before it starts a server (apps/allocator.cpp); without one it is trim_c_heap().
using memory_purge = void (*)();
void set_memory_purge(memory_purge purge);
// malloc_trim(), safe on several threads whoever owns malloc().
void trim_c_heap();
void purge_memory();

} // namespace ringcast
