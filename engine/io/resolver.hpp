// Host names to addresses, by getaddrinfo(3) on threads of their own, because it blocks. A numeric address needs no thread: numeric_address()
// of socket.hpp. The simulation of tests/sim puts its own resolve() in the place of this one, so nothing else lives in this pair of files.
#pragma once

#include "engine/io/socket.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ringcast::engine {

// Addresses in the order in which they should be tried: that of RFC 6724, which is getaddrinfo's, so that IPv6 is first where this machine has it, but
// with the families taking turns (RFC 8305 4). Empty with a sentence in `error`.
struct resolved_name {
  std::vector<socket_address> addresses;
  std::string error;
};

// Looks the name up on a resolver thread and calls `on_answer` there, once. Questions for the same name and port that come while one is
// under way share its answer. Any thread; never blocks.
void resolve(std::string host, std::uint16_t port, std::function<void(const resolved_name&)> on_answer);

} // namespace ringcast::engine
