// The buffer into which a shard receives large frames, and the memory of messages that may outlive their callback: a message that fills the
// buffer, or the block in which its connection kept it, is lent where it stands and not copied. One a shard, on its thread.
#pragma once

#include "engine/base/block_pool.hpp"
#include "engine/base/limits.hpp"
#include "engine/connection/connection.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace ringcast::engine {

class receive_memory {
 public:
  explicit receive_memory(block_pool& blocks) : blocks_(blocks) {}
  ~receive_memory() { blocks_.give_back(hot_); }
  receive_memory(const receive_memory&) = delete;
  receive_memory& operator=(const receive_memory&) = delete;

  // The hot buffer, whose bytes are those of whoever receives into it now.
  [[nodiscard]] std::span<std::byte> hot(std::uint64_t now_ms);
  // What nobody has received into for so long is given back.
  void trim(std::uint64_t now_ms);

  // A message that is being delivered may stay where it was received beyond its callback: can_lend() asks before, lend() gives that memory
  // away, and give_back_hot() returns it if it was the hot buffer.
  [[nodiscard]] bool can_lend(const connection& c, std::span<const std::byte> payload) const;
  struct lent_memory {
    block memory;
    bool is_hot = false;
  };
  [[nodiscard]] lent_memory lend(connection& c, std::span<const std::byte> payload);
  void give_back_hot(block memory);

 private:
  block_pool& blocks_;
  block hot_;
  std::uint32_t hot_lent_ = 0;
  std::uint64_t hot_used_ms_ = 0;
};

} // namespace ringcast::engine
