#include "engine/io/tcp_figures.hpp"

// Not <netinet/tcp.h>, whose tcp_info ends in front of the bytes (Linux 4.1).
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace ringcast::engine {

std::optional<tcp_figures> tcp_figures_of(int socket) {
  tcp_info told{};
  socklen_t bytes = sizeof told;
  if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &told, &bytes) < 0) return std::nullopt;
  return tcp_figures{.bytes_received = told.tcpi_bytes_received, .bytes_acknowledged = told.tcpi_bytes_acked, .round_trip_us = told.tcpi_rtt};
}

} // namespace ringcast::engine
