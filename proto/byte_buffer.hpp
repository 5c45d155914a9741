// A run of bytes that grows at its end and whose new bytes are not initialised: std::vector would write zeros over
// every byte that the inflater or the kernel is about to write anyway.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <new>
#include <span>
#include <utility>

namespace ringcast {

/// Owned by one object, on that object's thread. Cleared and filled again it allocates nothing until a message is
/// larger than every one before it. Throws std::bad_alloc, and only where it grows.
class byte_buffer {
 public:
  byte_buffer() noexcept = default;
  ~byte_buffer() { ::operator delete(data_); }
  byte_buffer(byte_buffer&& other) noexcept
      : data_{std::exchange(other.data_, nullptr)}, size_{std::exchange(other.size_, 0)}, capacity_{std::exchange(other.capacity_, 0)} {}
  byte_buffer& operator=(byte_buffer&& other) noexcept {
    byte_buffer taken{std::move(other)};
    std::swap(data_, taken.data_);
    std::swap(size_, taken.size_);
    std::swap(capacity_, taken.capacity_);
    return *this;
  }

  [[nodiscard]] std::byte* data() noexcept { return data_; }
  [[nodiscard]] const std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::span<std::byte> bytes() noexcept { return {data_, size_}; }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }

  /// The capacity becomes at least `capacity`, in one step and no larger than asked for.
  void reserve(std::size_t capacity) {
    if (capacity <= capacity_) return;
    auto* grown = static_cast<std::byte*>(::operator new(capacity));
    if (size_ > 0) std::memcpy(grown, data_, size_);
    ::operator delete(data_);
    data_ = grown;
    capacity_ = capacity;
  }

  /// At least `room` writable bytes behind the end, and all that there are. The capacity at least doubles when it
  /// grows.
  [[nodiscard]] std::span<std::byte> prepare(std::size_t room) {
    if (capacity_ - size_ < room) reserve(std::max(size_ + room, capacity_ * 2));
    return {data_ + size_, capacity_ - size_};
  }
  /// The first `written` bytes of what prepare() gave are now part of the buffer.
  void commit(std::size_t written) noexcept { size_ += written; }

  void append(std::span<const std::byte> more) {
    if (more.empty()) return;
    std::memcpy(prepare(more.size()).data(), more.data(), more.size());
    size_ += more.size();
  }

  /// Forgets what is behind `size`, which is at most size().
  void truncate(std::size_t size) noexcept { size_ = std::min(size, size_); }
  void clear() noexcept { size_ = 0; }
  /// Gives the memory back.
  void release() noexcept { *this = byte_buffer{}; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

} // namespace ringcast
