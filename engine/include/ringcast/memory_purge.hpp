// For programs whose operator new is not the C library's.
#pragma once

namespace ringcast {

// Called on a shard's thread when it has become quiet after it freed much: tells the allocator to give to the kernel what it keeps. Such a program
// sets its own before it starts a server; without one it is malloc_trim(). It must not throw.
using memory_purge = void (*)();
void set_memory_purge(memory_purge purge);
// malloc_trim(), safe on several threads whoever owns malloc().
void trim_c_heap();

} // namespace ringcast
