// The address of a peer. A value; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <sys/socket.h>

namespace ringcast {

struct socket_address {
  sockaddr_storage storage{}; // AF_INET, AF_INET6, AF_UNIX, or nothing: of a connection that is over
  socklen_t bytes = 0;

  [[nodiscard]] std::uint16_t port() const; // 0 if there is no address
  [[nodiscard]] std::string text() const;   // "127.0.0.1:8080", "[::1]:8080", or "unix:/path", and of a peer there mostly "unix:"
};

} // namespace ringcast
