// When the messages of an open loop are due: message k at k / rate after the start, whatever became of those before it.
#pragma once

#include <cstdint>

namespace ringcast::load {

class schedule {
 public:
  schedule() = default;
  // `rate` is a second's messages; 0: the closed loop, in which nothing is planned.
  schedule(std::int64_t start_ns, double rate) : start_ns_{start_ns}, rate_{rate} {}

  [[nodiscard]] bool is_open_loop() const { return rate_ > 0; }
  [[nodiscard]] std::int64_t due_ns(std::uint64_t k) const { return start_ns_ + static_cast<std::int64_t>(static_cast<double>(k) * 1e9 / rate_); }

 private:
  std::int64_t start_ns_ = 0;
  double rate_ = 0;
};

} // namespace ringcast::load
