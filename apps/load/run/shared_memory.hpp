// Arrays of zeros that cost nothing until they are written, private to a process or shared with those it starts.
#pragma once

#include <cstddef>
#include <new>
#include <sys/mman.h>
#include <type_traits>

namespace ringcast::load {

enum class sharing : unsigned char { own, with_children };

// Owns its pages. Elements begin as zero bytes, so only types may live here for which that is a valid value, and no
// destructor is called.
template <typename T> class zero_pages {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  zero_pages(std::size_t count, sharing with) : bytes_{count * sizeof(T) + 1} {
    const int flags = MAP_ANONYMOUS | MAP_NORESERVE | (with == sharing::own ? MAP_PRIVATE : MAP_SHARED);
    void* const at = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (at == MAP_FAILED) throw std::bad_alloc{};
    first_ = static_cast<T*>(at);
  }
  ~zero_pages() { ::munmap(first_, bytes_); }
  zero_pages(const zero_pages&) = delete;
  zero_pages& operator=(const zero_pages&) = delete;

  [[nodiscard]] T& operator[](std::size_t i) { return first_[i]; }
  [[nodiscard]] const T& operator[](std::size_t i) const { return first_[i]; }

 private:
  T* first_ = nullptr;
  std::size_t bytes_;
};

} // namespace ringcast::load
