// A socket address as the simulated network knows it: a numeric text and a port.
#pragma once

#include <cstdint>
#include <string>
#include <sys/socket.h>

namespace ringcast::sim {

[[nodiscard]] std::uint16_t port_of(const sockaddr* address);
[[nodiscard]] std::string text_of(const sockaddr* address);

} // namespace ringcast::sim
