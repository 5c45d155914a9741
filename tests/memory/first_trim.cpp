// Two threads that trim the C library's heap for the first time together, in a program where mimalloc stands in for malloc(). Where each called
// malloc_trim() itself, 11 of 2,000 such processes died by SIGSEGV (glibc 2.36 makes its heap there, without a lock).
#include "engine/shard/memory_bound.hpp"

#include <atomic>
#include <cstdio>
#include <mimalloc.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace {

void trim_together() {
  std::atomic<int> waiting{2};
  const auto trim = [&waiting] {
    --waiting;
    while (waiting > 0) {
    }
    ringcast::trim_c_heap();
  };
  std::thread other(trim);
  trim();
  other.join();
}

} // namespace

int main() {
  constexpr int processes = 1000;
  int died = 0;
  for (int i = 0; i < processes; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      trim_together();
      _exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) ++died;
  }
  std::printf("%d of %d processes died; mimalloc %d stands in for malloc(): %s\n", died, processes, mi_version(),
              mi_is_in_heap_region(malloc(1)) ? "yes" : "no");
  return died == 0 && mi_is_in_heap_region(malloc(1)) ? 0 : 1;
}
