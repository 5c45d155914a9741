// How messages are compressed with permessage-deflate (RFC 7692): the options of a server, of one of its endpoints, or
// of a client.
#pragma once

#include "proto/deflate.hpp"
#include "proto/extension.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace ringcast {

enum class compression_mode : std::uint8_t {
  off, // the extension is not negotiated
  // Every message is compressed by itself: no context takeover in either direction (RFC 7692 7.1.1). One compressor and
  // one decompressor serve all connections of a shard, and a connection that is idle holds nothing.
  shared,
  // Each message may refer to those before it, in each direction in which the peer agrees. Short messages that resemble
  // each other shrink to a third of what `shared` makes of them, for deflate_memory_bytes() and inflate_memory_bytes of
  // every such connection: 172 KiB with both directions at level 0. While a connection is a member of a room, what it
  // is sent is compressed as with `shared`.
  dedicated,
};

struct compression_options {
  compression_mode mode = compression_mode::shared;
  // 0 to 3, from fast to small. Not given: 0 for a message to one connection, and 1 for one to a room, which is
  // compressed once for all of its members. A rise from 0 to 1 takes four times as long and saves a fifth of the bytes
  // (kernel-notes/deflate.md).
  std::optional<unsigned> level{};
  // Messages below this many bytes are sent as they are. Not given: 256 with `shared`, and 64 where a message may refer
  // to those before it.
  std::optional<std::size_t> threshold_bytes{};
  // The base-2 logarithm of how far back a compressed message may refer, 8 to 15, in both directions; the peer may ask
  // for less.
  unsigned window_bits = 15;

  friend bool operator==(const compression_options&, const compression_options&) = default;

  // --- what follows from them ---
  [[nodiscard]] unsigned level_to_one() const { return std::min(level.value_or(0), deflate_level_max); }
  [[nodiscard]] unsigned level_to_room() const { return std::min(level.value_or(1), deflate_level_max); }
  // An empty message never gets shorter.
  [[nodiscard]] std::size_t threshold_to_one() const {
    return std::max<std::size_t>(threshold_bytes.value_or(mode == compression_mode::dedicated ? 64 : 256), 1);
  }
  [[nodiscard]] std::size_t threshold_to_room() const { return std::max<std::size_t>(threshold_bytes.value_or(256), 1); }
  [[nodiscard]] std::uint8_t window() const { return static_cast<std::uint8_t>(std::clamp(window_bits, 8u, 15u)); }
  [[nodiscard]] deflate_policy policy() const {
    const bool forgets = mode != compression_mode::dedicated;
    return {.enabled = mode != compression_mode::off,
            .server_no_context_takeover = forgets,
            .client_no_context_takeover = forgets,
            .server_max_window_bits = window(),
            .server_min_window_bits = 8,
            .client_max_window_bits = window()};
  }
  [[nodiscard]] deflate_offer offer() const {
    const bool forgets = mode != compression_mode::dedicated;
    const std::optional<std::uint8_t> limit = window() < 15 ? std::optional{window()} : std::nullopt;
    return {.server_no_context_takeover = forgets,
            .client_no_context_takeover = forgets,
            .server_max_window_bits = limit,
            .allow_client_max_window_bits = true,
            .client_max_window_bits = limit};
  }
};

} // namespace ringcast
