// Memory between two pages that nobody may touch: a read or write of one byte too many ends the test with SIGSEGV.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <new>
#include <span>
#include <string_view>
#include <sys/mman.h>
#include <unistd.h>

namespace ringcast::test {

/// A guarded region of at least `bytes_max` bytes. Each placement overwrites the one before.
class guarded_memory {
 public:
  explicit guarded_memory(std::size_t bytes_max) {
    const auto page_bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    usable_bytes_ = (std::max<std::size_t>(bytes_max, 1) + page_bytes - 1) / page_bytes * page_bytes;
    mapped_bytes_ = usable_bytes_ + 2 * page_bytes;
    void* const mapped = mmap(nullptr, mapped_bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc{};
    mapped_ = static_cast<std::byte*>(mapped);
    usable_ = mapped_ + page_bytes;
    if (mprotect(usable_, usable_bytes_, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc{};
  }
  ~guarded_memory() { munmap(mapped_, mapped_bytes_); }
  guarded_memory(const guarded_memory&) = delete;
  guarded_memory& operator=(const guarded_memory&) = delete;

  /// The last `bytes` bytes before the guard page: reading one further faults.
  [[nodiscard]] std::span<std::byte> last(std::size_t bytes) noexcept { return {usable_ + (usable_bytes_ - bytes), bytes}; }
  /// The first `bytes` bytes behind the other guard page: reading one before them faults.
  [[nodiscard]] std::span<std::byte> first(std::size_t bytes) noexcept { return {usable_, bytes}; }

  /// A copy of `content` that ends at the guard page.
  std::span<std::byte> place_last(std::span<const std::byte> content) noexcept { return copy(content, last(content.size())); }
  /// A copy of `content` that starts behind the guard page.
  std::span<std::byte> place_first(std::span<const std::byte> content) noexcept { return copy(content, first(content.size())); }
  /// The same for text, as the HTTP half reads it.
  std::string_view place_last(std::string_view content) noexcept { return as_text(place_last(as_bytes(content))); }
  std::string_view place_first(std::string_view content) noexcept { return as_text(place_first(as_bytes(content))); }

  [[nodiscard]] std::size_t usable_bytes() const noexcept { return usable_bytes_; }

 private:
  static std::span<const std::byte> as_bytes(std::string_view text) noexcept { return std::as_bytes(std::span(text)); }
  static std::string_view as_text(std::span<const std::byte> bytes) noexcept { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
  static std::span<std::byte> copy(std::span<const std::byte> content, std::span<std::byte> place) noexcept {
    if (!content.empty()) std::memcpy(place.data(), content.data(), content.size());
    return place;
  }

  std::byte* mapped_ = nullptr;
  std::byte* usable_ = nullptr;
  std::size_t mapped_bytes_ = 0;
  std::size_t usable_bytes_ = 0;
};

} // namespace ringcast::test
