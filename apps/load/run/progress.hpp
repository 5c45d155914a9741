// One line a second about a run that is under way: rewritten in place on a terminal, one after the other elsewhere.
#pragma once

#include "apps/load/histogram.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace ringcast::load {

class progress {
 public:
  progress();
  ~progress() { finish(); }

  struct state {
    std::string_view phase; // "opening", "warming up", "measuring"
    std::uint64_t done = 0; // Deliveries or connections, ever growing.
    std::string_view unit;
    std::uint64_t open = 0;
    std::uint64_t errors = 0;
    histogram latency;
  };
  // How long to sleep at most between two lines.
  [[nodiscard]] int interval_ms() const { return terminal_ ? 250 : 1000; }
  [[nodiscard]] bool is_due(std::int64_t now_ns) const;
  void show(std::int64_t now_ns, const state& now);
  // Ends the line that is rewritten, so that what follows starts on its own.
  void finish();

 private:
  bool terminal_;
  bool line_open_ = false;
  std::int64_t last_ns_ = 0;
  std::uint64_t last_done_ = 0;
  std::string last_phase_;
};

} // namespace ringcast::load
