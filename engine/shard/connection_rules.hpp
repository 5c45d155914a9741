// Which limits and options hold for a connection: the server's, those of its endpoint, or those of its client.
#pragma once

#include "engine/connection/connection.hpp"
#include "engine/shard/client_seats.hpp"
#include "engine/shard/shard_options.hpp"
#include "proto/deflate.hpp"
#include "proto/frame_reader.hpp"

#include <cstdint>

namespace ringcast::engine {

class connection_rules {
 public:
  connection_rules(const shard_options& options, const client_seats& seats) : options_(options), seats_(seats) {}

  [[nodiscard]] const server_limits& limits_of(const connection& c) const { return c.is_client ? client_limits(c) : options_.limits; }
  [[nodiscard]] frame_rules frame_rules_of(const connection& c) const {
    const std::uint64_t message_bytes_max = message_bytes_max_of(c);
    return {.our_role = c.is_client ? role::client : role::server,
            .payload_bytes_max = c.deflate_bits != 0 ? compressed_bytes_max(message_bytes_max) : message_bytes_max,
            .rsv1_allowed = c.deflate_bits != 0};
  }
  [[nodiscard]] std::uint64_t message_bytes_max_of(const connection& c) const {
    return c.endpoint != nullptr ? c.endpoint->message_bytes_max.value_or(limits_of(c).message_bytes_max) : limits_of(c).message_bytes_max;
  }
  // 0: never.
  [[nodiscard]] std::uint32_t ping_interval_of(const connection& c) const {
    return c.endpoint != nullptr ? c.endpoint->ping_interval_ms.value_or(limits_of(c).ping_interval_ms) : limits_of(c).ping_interval_ms;
  }
  [[nodiscard]] std::uint32_t pong_timeout_of(const connection& c) const {
    return c.endpoint != nullptr ? c.endpoint->pong_timeout_ms.value_or(limits_of(c).pong_timeout_ms) : limits_of(c).pong_timeout_ms;
  }
  [[nodiscard]] std::uint32_t idle_timeout_of(const connection& c) const {
    if (c.is_client || c.endpoint == nullptr || c.event_stream) return 0;
    return c.endpoint->idle_timeout_ms.value_or(options_.limits.idle_timeout_ms);
  }
  [[nodiscard]] const rate_limits& rates_of(const connection& c) const {
    if (c.is_client || c.endpoint == nullptr || c.event_stream) return unlimited;
    return c.endpoint->rates ? *c.endpoint->rates : options_.limits.rates;
  }
  [[nodiscard]] const compression_options& compression_of(const connection& c) const {
    if (!c.is_client && c.endpoint->in_parts) return uncompressed;
    if (!c.is_client) return c.endpoint->compression ? *c.endpoint->compression : options_.compression;
    const client_link* link = seats_[c].link;
    return link != nullptr ? link->plan->compression : options_.compression;
  }

 private:
  [[nodiscard]] const server_limits& client_limits(const connection& c) const {
    const client_link* link = seats_[c].link;
    return link != nullptr ? link->plan->limits : options_.limits;
  }

  static constexpr compression_options uncompressed{.mode = compression_mode::off};
  static constexpr rate_limits unlimited{};

  const shard_options& options_;
  const client_seats& seats_;
};

} // namespace ringcast::engine
