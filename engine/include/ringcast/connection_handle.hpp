// The name of a connection that may safely outlive it: shard, slot and generation in one word, so that it fits into a log entry, an
// atomic and a message between shards. A slot is used again, its generation is not (24 bits, about 16 million lives of one slot).
// A value, for any thread.
#pragma once

#include <cstdint>

namespace ringcast {

struct connection_handle {
  std::uint64_t value = 0; // shard (8 bits) | generation (24 bits) | slot (32 bits); 0: nobody, since no generation is 0

  static constexpr std::uint32_t shards_max = 256;
  static constexpr std::uint32_t generation_mask = 0xff'ffff;

  static constexpr connection_handle make(std::uint32_t shard, std::uint32_t generation, std::uint32_t slot) {
    return {static_cast<std::uint64_t>(shard) << 56 | static_cast<std::uint64_t>(generation) << 32 | slot};
  }
  [[nodiscard]] constexpr std::uint32_t shard() const { return static_cast<std::uint32_t>(value >> 56); }
  [[nodiscard]] constexpr std::uint32_t generation() const { return static_cast<std::uint32_t>(value >> 32) & generation_mask; }
  [[nodiscard]] constexpr std::uint32_t slot() const { return static_cast<std::uint32_t>(value); }
  [[nodiscard]] constexpr explicit operator bool() const { return value != 0; }
  friend constexpr bool operator==(connection_handle, connection_handle) = default;
};

} // namespace ringcast
