// What follows from compression_options: levels, thresholds, and what is offered and accepted.
#pragma once

#include "proto/deflate.hpp"
#include "proto/extension.hpp"
#include <ringcast/compression.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace ringcast::engine {

static_assert(compression_level_max == deflate_level_max);

[[nodiscard]] inline unsigned level_to_one(const compression_options& o) { return std::min(o.level.value_or(0), deflate_level_max); }
[[nodiscard]] inline unsigned level_to_room(const compression_options& o) { return std::min(o.level.value_or(1), deflate_level_max); }
// An empty message never gets shorter.
[[nodiscard]] inline std::size_t threshold_to_one(const compression_options& o) {
  return std::max<std::size_t>(o.threshold_bytes.value_or(o.mode == compression_mode::dedicated ? 64 : 256), 1);
}
[[nodiscard]] inline std::size_t threshold_to_room(const compression_options& o) { return std::max<std::size_t>(o.threshold_bytes.value_or(256), 1); }
[[nodiscard]] inline std::uint8_t window_of(const compression_options& o) { return static_cast<std::uint8_t>(std::clamp(o.window_bits, 8u, 15u)); }

[[nodiscard]] inline deflate_policy policy_of(const compression_options& o) {
  const bool forgets = o.mode != compression_mode::dedicated;
  return {.enabled = o.mode != compression_mode::off,
          .server_no_context_takeover = forgets,
          .client_no_context_takeover = forgets,
          .server_max_window_bits = window_of(o),
          .server_min_window_bits = 8,
          .client_max_window_bits = window_of(o)};
}

[[nodiscard]] inline deflate_offer offer_of(const compression_options& o) {
  const bool forgets = o.mode != compression_mode::dedicated;
  const std::optional<std::uint8_t> limit = window_of(o) < 15 ? std::optional{window_of(o)} : std::nullopt;
  return {.server_no_context_takeover = forgets,
          .client_no_context_takeover = forgets,
          .server_max_window_bits = limit,
          .allow_client_max_window_bits = true,
          .client_max_window_bits = limit};
}

} // namespace ringcast::engine
