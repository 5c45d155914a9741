// RINGCAST_ASSERT: a check for our own mistakes, on in every build.
//
// It is for invariants only. What a peer, the kernel or a user's input may legally do is never asserted: that is a
// violation or an error code. A failed assert writes one line to standard error with write(2), which needs no heap
// and no lock, and aborts.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

namespace ringcast::engine {

[[noreturn, gnu::cold, gnu::noinline]] inline void assert_failed(const char* expression, const char* place) noexcept {
  const char* const pieces[] = {"ringcast: assertion failed: ", expression, " at ", place, "\n"};
  char line[512];
  std::size_t used = 0;
  for (const char* piece : pieces) {
    std::size_t bytes = std::strlen(piece);
    if (bytes > sizeof line - used) bytes = sizeof line - used;
    std::memcpy(line + used, piece, bytes);
    used += bytes;
  }
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line, used);
  std::abort();
}

} // namespace ringcast::engine

#define RINGCAST_ASSERT_TEXT_(x) #x
#define RINGCAST_ASSERT_TEXT(x) RINGCAST_ASSERT_TEXT_(x)
#define RINGCAST_ASSERT(condition)                                                                                                                   \
  (__builtin_expect(static_cast<bool>(condition), 1) ? static_cast<void>(0)                                                                          \
                                                     : ::ringcast::engine::assert_failed(#condition, __FILE__ ":" RINGCAST_ASSERT_TEXT(__LINE__)))
