#include "tests/sim/kernel/buffer_group.hpp"

#include "tests/sim/kernel/kernel.hpp"

#include <cstring>

#if defined(__SANITIZE_ADDRESS__) || (defined(__has_feature) && __has_feature(address_sanitizer))
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(begin, bytes) ((void)(begin), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(begin, bytes) ((void)(begin), (void)(bytes))
#endif

namespace ringcast::sim {

buffer_group::buffer_group(kernel& world, const io_uring_buf_reg& registration, bool incremental)
    : world_(world), memory_(reinterpret_cast<io_uring_buf_ring*>(registration.ring_addr)), entries_(registration.ring_entries),
      incremental_(incremental) {}

buffer_group::~buffer_group() {
  for (const auto& [id, buffer] : buffers_)
    if (world_.poison_buffers && buffer.owned_by_kernel) ASAN_UNPOISON_MEMORY_REGION(buffer.begin, buffer.bytes);
}

// Takes over what the engine has put behind the tail. From here until commit() the memory is the kernel's: it is
// overwritten, so that a late look at it finds nonsense, and under AddressSanitizer the look itself is an error.
void buffer_group::look_for_new() {
  const std::uint16_t tail = __atomic_load_n(&memory_->tail, __ATOMIC_ACQUIRE);
  if (static_cast<std::uint16_t>(tail - head_) > entries_) world_.report_misuse("more buffers are provided than the buffer ring has entries");
  for (; tail_seen_ != tail; ++tail_seen_) {
    const io_uring_buf& given = entry(tail_seen_);
    const provided fresh{.begin = reinterpret_cast<std::byte*>(given.addr), .bytes = given.len, .owned_by_kernel = true};
    if (fresh.bytes == 0) world_.report_misuse(fmt::format("buffer {} is provided without memory", given.bid));
    for (const auto& [id, other] : buffers_) {
      if (!other.owned_by_kernel) continue;
      if (id == given.bid) world_.report_misuse(fmt::format("buffer {} is provided twice", id));
      if (fresh.begin < other.begin + other.bytes && other.begin < fresh.begin + fresh.bytes)
        world_.report_misuse(fmt::format("buffers {} and {} share memory", id, given.bid));
    }
    buffers_[given.bid] = fresh;
    if (world_.poison_buffers) {
      std::memset(fresh.begin, 0xDD, fresh.bytes);
      ASAN_POISON_MEMORY_REGION(fresh.begin, fresh.bytes);
    }
  }
}

void buffer_group::check_entry(std::uint16_t position) {
  const io_uring_buf& given = entry(position);
  const auto found = buffers_.find(given.bid);
  if (found == buffers_.end() || !found->second.owned_by_kernel ||
      reinterpret_cast<std::byte*>(given.addr) != found->second.begin + found->second.used || given.len != found->second.bytes - found->second.used)
    world_.report_misuse(fmt::format("the entry of provided buffer {} was changed while it was the kernel's", given.bid));
}

std::span<std::byte> buffer_group::select() {
  look_for_new();
  if (head_ == tail_seen_) return {};
  check_entry(head_);
  const io_uring_buf& first = entry(head_);
  return {reinterpret_cast<std::byte*>(first.addr), first.len};
}

void buffer_group::before_writing(std::span<std::byte> selected, std::size_t bytes) {
  if (world_.poison_buffers) ASAN_UNPOISON_MEMORY_REGION(selected.data(), bytes);
}

// As io_kbuf_commit: with incremental consumption the kernel moves the entry's own address and length on.
buffer_group::taken buffer_group::commit(std::size_t bytes) {
  io_uring_buf& first = entry(head_);
  provided& buffer = buffers_[first.bid];
  const std::uint16_t id = first.bid;
  buffer.used += bytes;
  if (incremental_ && buffer.used < buffer.bytes) {
    first.addr += bytes;
    first.len -= static_cast<std::uint32_t>(bytes);
    return {id, true};
  }
  if (world_.poison_buffers) ASAN_UNPOISON_MEMORY_REGION(buffer.begin, buffer.bytes);
  if (incremental_) first.len = 0;
  buffer.owned_by_kernel = false;
  ++head_;
  return {id, false};
}

std::size_t buffer_group::away() {
  look_for_new();
  std::size_t count = 0;
  for (const auto& [id, buffer] : buffers_)
    if (!buffer.owned_by_kernel) ++count;
  return count;
}

} // namespace ringcast::sim
