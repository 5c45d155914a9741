// One line a second about a run that is under way: rewritten in place on a terminal, one after the other elsewhere.
#pragma once

#include "apps/ringcast-load/histogram.hpp"

#include <atomic>
#include <cstdint>
#include <string_view>

namespace ringcast {

class progress {
 public:
  explicit progress(bool quiet = false);
  ~progress() { finish(); }

  struct state {
    std::string_view phase; // "opening", "warming up", "measuring"
    std::uint64_t done = 0; // Deliveries or connections, ever growing.
    std::string_view unit;
    unsigned open = 0;
    std::uint64_t errors = 0;
    const histogram* latency = nullptr;
  };
  // Cheap unless a second has passed since the last line.
  void tick(std::int64_t now_ns, const state& now);
  // Ends the line that is rewritten, so that what follows starts on its own.
  void finish();

 private:
  bool quiet_;
  bool terminal_;
  bool line_open_ = false;
  std::int64_t last_ns_ = 0;
  std::uint64_t last_done_ = 0;
};

} // namespace ringcast
