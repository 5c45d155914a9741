// What a reader of requests, responses or frames says of the bytes that it was given.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ringcast::engine {

struct consumed {
  std::size_t bytes = 0;      // handled
  std::uint64_t wanted = 0;   // how many bytes from there are needed to go on
  bool stopped = false;       // the rest is not wanted now: the connection ends, or an answer is being prepared
  std::size_t kept = SIZE_MAX; // of the rest only this many bytes are to be kept
};

} // namespace ringcast::engine
