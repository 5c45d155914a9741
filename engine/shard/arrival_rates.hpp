// How fast connections come from each address, over all shards of a server together. Touched where a connection is accepted and nowhere else; a
// server without such a limit has none.
#pragma once

#include "engine/base/limits.hpp"
#include "engine/base/token_bucket.hpp"
#include "engine/shard/admission.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace ringcast::engine {

// Any thread. Belongs to the server and outlives its shards.
class arrival_rates {
 public:
  explicit arrival_rates(const rate_limit& limit, std::size_t addresses_max = arrival_addresses_max);

  // 0: it may come, and is counted. Else it may not, and in so many milliseconds one may.
  [[nodiscard]] std::uint64_t take(connection_source from, std::uint64_t now_ms);

 private:
  struct entry {
    connection_source from = no_connection_source;
    token_bucket bucket{};
  };
  // Where an address may be remembered. The key of the hash is secret, so nobody chooses whom to push out.
  static constexpr std::size_t ways = 8;
  using set = std::array<entry, ways>;
  struct alignas(64) part {
    std::mutex mutex;
    std::vector<set> sets;
  };
  static constexpr std::size_t part_count = 16;

  [[nodiscard]] entry& entry_of(set& here, connection_source from, std::uint64_t now_ms) const;

  const rate_limit limit_;
  std::array<part, part_count> parts_;
};

} // namespace ringcast::engine
