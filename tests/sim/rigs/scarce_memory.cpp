#include "tests/sim/rigs/scarce_memory.hpp"

#include "tests/sim/kernel/kernel.hpp"
#include "tests/support/sanitizer.hpp"

#include <cstdlib>
#include <new>

namespace ringcast::sim {

namespace {

std::uint64_t left = 0; // the one that fails when this has counted down to it; 0: none
std::size_t least = 0;
bool has_failed = false;

} // namespace

void fail_allocation(std::uint64_t number, std::size_t bytes_min) {
  left = number;
  least = bytes_min;
  has_failed = false;
}

bool end_of_failing() {
  left = 0;
  return has_failed;
}

#ifdef RINGCAST_SANITIZED
bool allocations_can_fail() { return false; }
#else
bool allocations_can_fail() { return true; }

namespace {

void* allocate(std::size_t bytes, std::size_t alignment) {
  if (left != 0 && running.turns > 0 && running.calls == 0 && bytes >= least && --left == 0) {
    has_failed = true;
    throw std::bad_alloc();
  }
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* at = std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
  if (at == nullptr) throw std::bad_alloc();
  return at;
}

} // namespace
#endif

} // namespace ringcast::sim

#ifndef RINGCAST_SANITIZED
using ringcast::sim::allocate;
void* operator new(std::size_t bytes) { return allocate(bytes, alignof(std::max_align_t)); }
void* operator new[](std::size_t bytes) { return allocate(bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t a) { return allocate(bytes, static_cast<std::size_t>(a)); }
void* operator new[](std::size_t bytes, std::align_val_t a) { return allocate(bytes, static_cast<std::size_t>(a)); }
void operator delete(void* at) noexcept { std::free(at); }
void operator delete[](void* at) noexcept { std::free(at); }
void operator delete(void* at, std::size_t) noexcept { std::free(at); }
void operator delete[](void* at, std::size_t) noexcept { std::free(at); }
void operator delete(void* at, std::align_val_t) noexcept { std::free(at); }
void operator delete[](void* at, std::align_val_t) noexcept { std::free(at); }
void operator delete(void* at, std::size_t, std::align_val_t) noexcept { std::free(at); }
void operator delete[](void* at, std::size_t, std::align_val_t) noexcept { std::free(at); }
#endif
