// Blocks of memory of a shard, in sizes of powers of two, last in first out so that the next user finds its block in cache.
// For receive buffers in waiting, backlogs and room logs. One thread.
#pragma once

#include <ringcast/detail/assert.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

namespace ringcast::engine {

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

  // Places for the first blocks of each size, so that to give one of these back is no allocation, whenever it comes.
  block_pool() {
    for (free_blocks& size : free_) size.blocks.reserve(4);
  }
  block_pool(const block_pool&) = delete;
  block_pool& operator=(const block_pool&) = delete;
  ~block_pool() {
    RINGCAST_ASSERT(taken_ == 0);
    for (auto& size : free_)
      for (std::byte* bytes : size.blocks) ::operator delete(bytes, std::align_val_t{64});
  }

  [[nodiscard]] block take(std::size_t bytes_min) {
    RINGCAST_ASSERT(bytes_min <= largest);
    const auto capacity = static_cast<std::uint32_t>(std::bit_ceil(bytes_min < smallest ? smallest : bytes_min));
    auto& free = free_[static_cast<std::size_t>(std::countr_zero(capacity))];
    std::byte* bytes = nullptr;
    if (free.blocks.empty()) {
      bytes = static_cast<std::byte*>(::operator new(capacity, std::align_val_t{64}));
    } else {
      bytes = free.blocks.back();
      free.blocks.pop_back();
      kept_bytes_ -= capacity;
      if (free.blocks.size() < free.unused) free.unused = free.blocks.size();
    }
    ++taken_;
    taken_bytes_ += capacity;
    return {bytes, capacity};
  }

  void give_back(block b) {
    if (b.bytes == nullptr) return;
    --taken_;
    taken_bytes_ -= b.capacity;
    auto& free = free_[static_cast<std::size_t>(std::countr_zero(b.capacity))];
    if ((free.blocks.size() + 1) * b.capacity > kept_bytes_max || !has_place(free)) {
      ::operator delete(b.bytes, std::align_val_t{64});
      return;
    }
    free.blocks.push_back(b.bytes);
    kept_bytes_ += b.capacity;
  }

  // Gives those blocks back to the allocator that nobody has needed since the last call; returns their bytes.
  std::size_t trim() {
    std::size_t given_back = 0;
    for (std::size_t i = 0; i < free_.size(); ++i) {
      free_blocks& free = free_[i];
      // The oldest are those that nobody has touched.
      for (std::size_t k = 0; k < free.unused; ++k) ::operator delete(free.blocks[k], std::align_val_t{64});
      free.blocks.erase(free.blocks.begin(), free.blocks.begin() + static_cast<std::ptrdiff_t>(free.unused));
      given_back += free.unused << i;
      free.unused = free.blocks.size();
    }
    kept_bytes_ -= given_back;
    return given_back;
  }

  // Blocks that somebody holds: 0 at rest.
  [[nodiscard]] std::size_t taken() const { return taken_; }
  [[nodiscard]] std::size_t taken_bytes() const { return taken_bytes_; }
  // In blocks that nobody holds.
  [[nodiscard]] std::size_t kept_bytes() const { return kept_bytes_; }

 private:
  struct free_blocks {
    std::vector<std::byte*> blocks;
    std::size_t unused = 0; // the first so many were never taken since the last trim()
  };
  // Giving back happens where nothing may fail: what cannot be noted is not kept.
  static bool has_place(free_blocks& free) noexcept {
    if (free.blocks.size() < free.blocks.capacity()) return true;
    try {
      free.blocks.reserve(free.blocks.capacity() * 2 + 4);
    } catch (const std::bad_alloc&) {
      return false;
    }
    return true;
  }

  std::array<free_blocks, 32> free_;
  std::size_t taken_ = 0;
  std::size_t taken_bytes_ = 0;
  std::size_t kept_bytes_ = 0;
};

} // namespace ringcast::engine
