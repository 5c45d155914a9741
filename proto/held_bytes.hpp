// What peers make this thread hold in heap memory, as one number that is always up to date: each object that holds such memory keeps its own
// share of it, and the share goes with the object. Nothing is counted per message, only where memory grows or goes.
#pragma once

#include <cstddef>

namespace ringcast {

/// The sum of all shares that were set on this thread. Signed, because an object may die on another thread than its own
/// (the shards of a server are destroyed by whoever waits for it), and only the sum over all threads is never negative.
inline constinit thread_local std::ptrdiff_t held_bytes_of_thread = 0;

/// One object's share.
class held_share {
 public:
  held_share() noexcept = default;
  explicit held_share(std::size_t bytes) noexcept { set(bytes); }
  ~held_share() { set(0); }
  held_share(const held_share&) = delete;
  held_share& operator=(const held_share&) = delete;

  void set(std::size_t bytes) noexcept {
    held_bytes_of_thread += static_cast<std::ptrdiff_t>(bytes) - static_cast<std::ptrdiff_t>(bytes_);
    bytes_ = bytes;
  }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  std::size_t bytes_ = 0;
};

} // namespace ringcast
