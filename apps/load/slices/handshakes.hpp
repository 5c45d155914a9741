// Connections opened, upgraded and closed in a loop, `depth` of them at any time. A round is: connect, request, the
// whole response head checked, FIN, the server's FIN, close;
// with TLS a full handshake, without a ticket, lies before the request. The client closes first, so its side keeps the
// TIME_WAIT, and the source addresses take turns so that ports do not run out.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "apps/load/dialer.hpp"
#include "apps/load/histogram.hpp"
#include "apps/load/link.hpp"
#include "apps/load/slices/options.hpp"

namespace ringcast::load::slices {

using namespace engine;

class handshakes {
 public:
  explicit handshakes(const options& chosen);
  ~handshakes();
  handshakes(const handshakes&) = delete;
  handshakes& operator=(const handshakes&) = delete;

  // Nothing is open between slices.
  [[nodiscard]] std::expected<void, std::string> open() { return dialer_.prepare(options_.depth); }

  // Warms up and measures, each from the first connect to the last close.
  [[nodiscard]] std::expected<nlohmann::json, std::string> slice(double warmup_s, double seconds);
  [[nodiscard]] bool lost() const { return false; }

 private:
  enum class step { connecting, securing, awaiting_head, awaiting_end };
  struct slot {
    int fd = -1;
    step at = step::connecting;
    std::int64_t started_ns = 0;
    std::string head;
    std::unique_ptr<link> through; // With TLS.
  };
  struct mark {
    std::int64_t time_ns = 0;
    std::int64_t server_cpu_ns = 0;
    std::int64_t own_cpu_ns = 0;
    std::uint64_t done = 0;
  };

  void run_for(double seconds);
  void start(std::uint32_t index);
  [[nodiscard]] bool try_request(slot& s);
  void advance(std::uint32_t index);
  void gather(slot& s, std::span<std::byte> bytes);
  [[nodiscard]] mark take_mark();
  [[nodiscard]] nlohmann::json report(const mark& begin, const mark& end) const;

  const options& options_;
  destination to_;
  dialer dialer_;
  std::string request_;
  std::vector<slot> slots_;
  int epoll_fd_;
  bool stopping_ = false;
  unsigned open_ = 0;
  unsigned ordinal_ = 0;
  std::uint64_t done_ = 0;
  histogram latency_;
  std::string trouble_;
};

} // namespace ringcast::load::slices
