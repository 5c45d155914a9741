// Blocks of memory of a shard, in sizes of powers of two, last in first out so that the next user finds its block in cache.
// For receive buffers in waiting, backlogs and room logs. One thread.
#pragma once

#include "engine/assert.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

namespace ringcast {

struct block {
  std::byte* bytes = nullptr;
  std::uint32_t capacity = 0;
};

class block_pool {
 public:
  static constexpr std::uint32_t smallest = 256;
  // What the pool keeps of each size for the next turn; the rest goes back to the allocator.
  static constexpr std::size_t kept_bytes_max = 4u << 20;
  // Sizes are kept in 32 bits. Whoever lets a peer decide how much is taken bounds it far below.
  static constexpr std::size_t largest = std::size_t{1} << 31;

  block_pool() = default;
  block_pool(const block_pool&) = delete;
  block_pool& operator=(const block_pool&) = delete;
  ~block_pool() {
    RINGCAST_ASSERT(taken_ == 0);
    for (auto& size : free_)
      for (std::byte* bytes : size) ::operator delete(bytes, std::align_val_t{64});
  }

  [[nodiscard]] block take(std::size_t bytes_min) {
    RINGCAST_ASSERT(bytes_min <= largest);
    const auto capacity = static_cast<std::uint32_t>(std::bit_ceil(bytes_min < smallest ? smallest : bytes_min));
    auto& free = free_[static_cast<std::size_t>(std::countr_zero(capacity))];
    ++taken_;
    taken_bytes_ += capacity;
    if (free.empty()) return {static_cast<std::byte*>(::operator new(capacity, std::align_val_t{64})), capacity};
    std::byte* bytes = free.back();
    free.pop_back();
    return {bytes, capacity};
  }

  void give_back(block b) {
    if (b.bytes == nullptr) return;
    --taken_;
    taken_bytes_ -= b.capacity;
    auto& free = free_[static_cast<std::size_t>(std::countr_zero(b.capacity))];
    if ((free.size() + 1) * b.capacity > kept_bytes_max) {
      ::operator delete(b.bytes, std::align_val_t{64});
      return;
    }
    free.push_back(b.bytes);
  }

  // Blocks that somebody holds: 0 at rest.
  [[nodiscard]] std::size_t taken() const { return taken_; }
  [[nodiscard]] std::size_t taken_bytes() const { return taken_bytes_; }

 private:
  std::array<std::vector<std::byte*>, 32> free_;
  std::size_t taken_ = 0;
  std::size_t taken_bytes_ = 0;
};

} // namespace ringcast
