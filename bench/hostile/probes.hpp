// Newcomers: at planned times one connects, shakes hands (TLS where it is told to), upgrades, and leaves. How long that took counts from the plan.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apps/load/histogram.hpp"
#include "apps/load/slices/connect.hpp"

namespace ringcast::bench {

using namespace engine;

using namespace load;
using namespace load::slices;

class probes {
 public:
  probes(std::uint16_t port, bool tls, unsigned interval_ms);
  ~probes();
  probes(const probes&) = delete;
  probes& operator=(const probes&) = delete;

  void open(int epoll_fd, std::uint32_t first_tag);
  // The tags that on_ready() takes: [0, slots).
  static constexpr std::uint32_t slots = 256;
  std::int64_t start_due(std::int64_t now_ns);
  void on_ready(std::uint32_t slot, std::uint32_t events);
  [[nodiscard]] nlohmann::json take_figures();

 private:
  struct probe {
    int fd = -1;
    std::unique_ptr<link> through;
    std::string head;
    std::int64_t planned_ns = 0;
    bool connected = false, asked = false;
  };
  void advance(probe& p);
  void end(probe& p);

  destination to_;
  dialer dialer_;
  std::int64_t interval_ns_;
  std::int64_t next_ns_ = 0;
  unsigned ordinal_ = 0;
  int epoll_fd_ = -1;
  std::uint32_t first_tag_ = 0;
  std::vector<probe> probes_;
  histogram waits_;
  std::uint64_t served_ = 0, refused_ = 0;
};

} // namespace ringcast::bench
