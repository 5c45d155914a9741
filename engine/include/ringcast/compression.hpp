// How messages are compressed with permessage-deflate (RFC 7692): the options of a server, of one of its endpoints, or
// of a client. Plain values, read when a server starts, a client is made, or a request is upgraded.
#pragma once

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
  // each other shrink to a third of what `shared` makes of them, for 172 KiB of every such connection
  // (both directions, level 0). While a connection is a member of a room, what it
  // is sent is compressed as with `shared`.
  dedicated,
};

inline constexpr unsigned compression_level_max = 3;

struct compression_options {
  compression_mode mode = compression_mode::shared;
  // 0 to compression_level_max, from fast to small. Not given: 0 for a message to one connection, and 1 for one to a room, which is
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
};

} // namespace ringcast
