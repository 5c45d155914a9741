// The honest clients of the hostile bench: some echo, some talk in rooms, a part of both through TLS. Each sends a small message at planned times,
// whatever became of the last one, and a message says when it was planned; so a server that stalls is charged for all that waited.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/load/histogram.hpp"
#include "apps/load/slices/connect.hpp"

namespace ringcast::bench {

using namespace engine;

using namespace load;
using namespace load::slices;

struct honest_options {
  std::uint16_t port = 0;
  std::uint16_t tls_port = 0; // 0: no client speaks TLS
  unsigned echoes = 100;
  unsigned rooms = 10;
  unsigned members = 10; // of each room
  unsigned echo_interval_ms = 100;
  unsigned room_interval_ms = 1000;
  unsigned probe_interval_ms = 100; // a new connection of each kind: connect, handshake, upgrade
};

class honest_clients {
 public:
  explicit honest_clients(const honest_options& chosen);

  // Opens them all; what went wrong, or nothing.
  [[nodiscard]] std::string open(int epoll_fd, std::uint32_t first_tag);
  [[nodiscard]] std::size_t size() const { return clients_.size(); }
  // Sends what is due and returns when the next is.
  std::int64_t send_due(std::int64_t now_ns);
  void on_ready(std::uint32_t client);
  // Figures since the last call. What has not been answered counts as waiting until now.
  [[nodiscard]] nlohmann::json take_figures();

 private:
  struct client {
    open_connection way;
    std::int64_t first_ns = 0; // when its message 0 is planned
    std::int64_t interval_ns = 0;
    std::uint32_t next = 0;     // message to send
    std::uint32_t answered = 0; // of its own; they come back in order
    byte_buffer arrived;
    bool lost = false;
  };
  void send_one(std::uint32_t index);
  void take_frames(std::uint32_t index, std::int64_t now_ns);
  void lose(client& c);

  honest_options options_;
  std::vector<client> clients_;
  std::vector<std::uint32_t> order_; // a heap by the planned time of the next message
  int epoll_fd_ = -1;
  histogram waits_;
  std::uint64_t sent_ = 0, deliveries_ = 0, out_of_order_ = 0;
  unsigned lost_ = 0;
};

} // namespace ringcast::bench
