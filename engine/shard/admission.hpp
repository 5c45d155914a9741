// How many connections a server has, over all its shards together and from each address, so that a bound on either is
// exact: the connection that reaches it is accepted, the next one is not.
//
// Touched where a connection is accepted and where it is released, and nowhere between; a server without such bounds
// has none.
#pragma once

#include "engine/base/keyed_hash.hpp"
#include "engine/io/socket.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>

namespace ringcast::engine {

enum class admission_result : std::uint8_t { admitted, server_is_full, address_is_full, address_is_too_fast };

/// Where a connection comes from, as far as counting goes: an IPv4 address, or the first 64 bits of an IPv6 address. A
/// network of that size is what a single host or household is given (RFC 6177), and any of its 2^64 addresses is free
/// to take. An IPv4 address mapped into IPv6 counts as the IPv4 address that it is.
using connection_source = std::uint64_t;
/// Of a Unix socket, whose peers have no address: they are not bounded by one. No peer has it (fffe::/16 is multicast, RFC 4291 2.7).
inline constexpr connection_source no_connection_source = std::uint64_t{0xfffffffe} << 32;
[[nodiscard]] connection_source source_of(const socket_address& peer) noexcept;

/// Any thread. Belongs to the server and outlives its shards.
class admission {
 public:
  /// 0: no bound.
  admission(std::uint32_t connections_max, std::uint32_t connections_per_source_max) noexcept
      : connections_max_(connections_max), per_source_max_(connections_per_source_max) {}

  /// Whether enter() and leave() look at the source at all.
  [[nodiscard]] bool counts_sources() const noexcept { return per_source_max_ != 0; }

  /// Counts one more connection, unless that would be one too many.
  [[nodiscard]] admission_result enter(connection_source from);
  /// One that was admitted without a source has one now: false if that would be one too many from it.
  [[nodiscard]] bool add_source(connection_source from);
  void drop_source(connection_source from) noexcept;
  /// One that was admitted is gone.
  void leave(connection_source from) noexcept;

  [[nodiscard]] std::uint32_t connections() const noexcept { return connections_.load(std::memory_order_relaxed); }
  /// Sources that are remembered: at most as many as there are connections.
  [[nodiscard]] std::size_t sources() const;

 private:
  // Shards rarely want the same part at the same time.
  struct alignas(64) part {
    mutable std::mutex mutex;
    std::unordered_map<connection_source, std::uint32_t, peer_hash> connections;
  };
  [[nodiscard]] part& part_of(connection_source from) noexcept { return parts_[(peer_hash{}(from) >> 32) % parts_.size()]; }
  [[nodiscard]] bool count_one() noexcept;

  const std::uint32_t connections_max_;
  const std::uint32_t per_source_max_;
  alignas(64) std::atomic<std::uint32_t> connections_{0};
  std::array<part, 16> parts_;
};

} // namespace ringcast::engine
