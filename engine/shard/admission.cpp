#include "engine/shard/admission.hpp"

#include <ringcast/detail/assert.hpp>

#include <cstring>
#include <netinet/in.h>

namespace ringcast::engine {

connection_source source_of(const socket_address& peer) noexcept {
  // No IPv6 connection has a multicast address (ff00::/8) as its source, so these prefixes are free (RFC 4291 2.7).
  const auto from_v4 = [](std::uint32_t address) { return std::uint64_t{0xffffffff} << 32 | address; };
  if (peer.storage.ss_family == AF_INET) return from_v4(reinterpret_cast<const sockaddr_in&>(peer.storage).sin_addr.s_addr);
  if (peer.storage.ss_family != AF_INET6) return no_connection_source;
  const in6_addr& address = reinterpret_cast<const sockaddr_in6&>(peer.storage).sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&address)) {
    std::uint32_t v4;
    std::memcpy(&v4, address.s6_addr + 12, sizeof v4);
    return from_v4(v4);
  }
  std::uint64_t network;
  std::memcpy(&network, address.s6_addr, sizeof network);
  return network;
}

admission_result admission::enter(connection_source from) {
  if (per_source_max_ == 0 || from == no_connection_source) return count_one() ? admission_result::admitted : admission_result::server_is_full;
  // Both counts under the one lock: neither is ever raised for a connection that the other refuses.
  part& p = part_of(from);
  const std::lock_guard lock{p.mutex};
  std::uint32_t& here = p.connections[from];
  const admission_result result = here >= per_source_max_ ? admission_result::address_is_full
                                  : count_one()           ? admission_result::admitted
                                                          : admission_result::server_is_full;
  if (result == admission_result::admitted)
    ++here;
  else if (here == 0)
    p.connections.erase(from);
  return result;
}

bool admission::add_source(connection_source from) {
  if (per_source_max_ == 0 || from == no_connection_source) return true;
  part& p = part_of(from);
  const std::lock_guard lock{p.mutex};
  std::uint32_t& here = p.connections[from];
  if (here >= per_source_max_) return false;
  ++here;
  return true;
}

void admission::drop_source(connection_source from) noexcept {
  if (per_source_max_ == 0 || from == no_connection_source) return;
  part& p = part_of(from);
  const std::lock_guard lock{p.mutex};
  const auto found = p.connections.find(from);
  RINGCAST_ASSERT(found != p.connections.end() && found->second > 0);
  if (--found->second == 0) p.connections.erase(found);
}

void admission::leave(connection_source from) noexcept {
  drop_source(from);
  connections_.fetch_sub(1, std::memory_order_relaxed);
}

// Compared and exchanged, not added and taken back: the count is at no time above the bound, so nobody is refused
// because of somebody who was refused at the same time.
bool admission::count_one() noexcept {
  std::uint32_t now = connections_.load(std::memory_order_relaxed);
  do {
    if (connections_max_ != 0 && now >= connections_max_) return false;
  } while (!connections_.compare_exchange_weak(now, now + 1, std::memory_order_relaxed));
  return true;
}

std::size_t admission::sources() const {
  std::size_t sum = 0;
  for (const part& p : parts_) {
    const std::lock_guard lock{p.mutex};
    sum += p.connections.size();
  }
  return sum;
}

} // namespace ringcast::engine
