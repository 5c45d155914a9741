// What the kernel has counted of one TCP connection, so that nobody here has to.
#pragma once

#include <cstdint>
#include <optional>

namespace ringcast::engine {

struct tcp_figures {
  std::uint64_t bytes_received;
  std::uint64_t bytes_acknowledged; // by the peer
  std::uint32_t round_trip_us;
};
// One system call (TCP_INFO, tcp(7)). Nothing for other sockets.
[[nodiscard]] std::optional<tcp_figures> tcp_figures_of(int socket);

} // namespace ringcast::engine
