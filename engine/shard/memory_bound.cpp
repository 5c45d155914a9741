#include "engine/shard/memory_bound.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <malloc.h>
#include <unistd.h>

namespace ringcast::engine {

namespace {

// A control group's limit, version 2 and 1; "max", or a number above all memory, is none.
std::uint64_t control_group_bytes() {
  for (const char* path : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::FILE* file = std::fopen(path, "re");
    if (file == nullptr) continue;
    unsigned long long bytes = 0;
    const bool is_number = std::fscanf(file, "%llu", &bytes) == 1;
    std::fclose(file);
    if (is_number && bytes > 0) return bytes;
  }
  return UINT64_MAX;
}

std::atomic<memory_purge> purge_of_program{trim_c_heap};

} // namespace

std::uint64_t default_memory_bytes() {
  const long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
  const std::uint64_t machine = pages > 0 && page_bytes > 0 ? static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_bytes) : 8ULL << 30;
  return std::min(machine, control_group_bytes()) / 2;
}

void purge_memory() { purge_of_program.load()(); }

} // namespace ringcast::engine

void ringcast::set_memory_purge(memory_purge purge) { engine::purge_of_program = purge; }

// Where another allocator stands in for malloc(), malloc_trim() is what makes the C library's heap, and glibc 2.36 does that without a lock: two
// shards that trimmed for the first time together walked over a half-made one. So the first time is one thread's alone.
void ringcast::trim_c_heap() {
#ifdef __GLIBC__
  [[maybe_unused]] static const int first = malloc_trim(0);
  malloc_trim(0);
#endif
}
