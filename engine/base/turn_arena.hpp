// Memory for one loop turn: taken from the front, given back all at once. What is taken one after the other lies one behind the other, so
// the answers of a connection that are written in one go are one span.
#pragma once

#include "engine/base/block_pool.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ringcast::engine {

class turn_arena {
 public:
  static constexpr std::size_t block_bytes = 64 * 1024;

  explicit turn_arena(block_pool& blocks) : blocks_(blocks) {}
  ~turn_arena() { release(); }
  turn_arena(const turn_arena&) = delete;
  turn_arena& operator=(const turn_arena&) = delete;

  [[nodiscard]] std::byte* take(std::size_t bytes) {
    if (static_cast<std::size_t>(end_ - next_) < bytes) [[unlikely]]
      start_block(bytes);
    std::byte* taken = next_;
    next_ += bytes;
    return taken;
  }
  template <class T> [[nodiscard]] T* take_array(std::size_t count) {
    const auto misaligned = reinterpret_cast<std::uintptr_t>(next_) % alignof(T);
    if (misaligned != 0 && next_ != nullptr) next_ += std::min<std::size_t>(alignof(T) - misaligned, static_cast<std::size_t>(end_ - next_));
    return reinterpret_cast<T*>(take(count * sizeof(T)));
  }
  // Where the next bytes will be, as long as they fit.
  [[nodiscard]] const std::byte* next() const { return next_; }
  [[nodiscard]] bool fits(std::size_t bytes) const { return static_cast<std::size_t>(end_ - next_) >= bytes; }
  // Gives back the last bytes taken.
  void untake(std::size_t bytes) { next_ -= bytes; }

  void reset() {
    // The first block stays: it is the one in cache.
    while (used_.size() > 1) {
      blocks_.give_back(used_.back());
      used_.pop_back();
    }
    if (used_.empty()) return;
    if (used_[0].capacity > block_bytes) {
      blocks_.give_back(used_[0]);
      used_.clear();
      next_ = end_ = nullptr;
      return;
    }
    next_ = used_[0].bytes;
    end_ = next_ + used_[0].capacity;
  }
  void release() {
    for (const block b : used_) blocks_.give_back(b);
    used_.clear();
    next_ = end_ = nullptr;
  }

 private:
  void start_block(std::size_t bytes) {
    used_.push_back(blocks_.take(std::max(bytes, block_bytes)));
    next_ = used_.back().bytes;
    end_ = next_ + used_.back().capacity;
  }

  block_pool& blocks_;
  std::byte* next_ = nullptr;
  std::byte* end_ = nullptr;
  std::vector<block> used_;
};

} // namespace ringcast::engine
