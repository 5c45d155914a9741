#include "engine/io/buffer_ring.hpp"

#include <cstring>
#include <stdexcept>

namespace ringcast::engine {

namespace {

io_uring_buf_ring* registered(ring& r, std::uint16_t group, std::uint32_t buffers) {
  const auto made = r.register_buffer_group(group, buffers, true);
  if (!made) throw std::runtime_error(made.error());
  return *made;
}

} // namespace

buffer_ring::buffer_ring(ring& r, block_pool& blocks, std::uint32_t buffers, std::uint32_t buffer_bytes)
    : blocks_(blocks), kernel_ring_(registered(r, group, buffers)), mask_(buffers - 1), buffer_bytes_(buffer_bytes),
      incremental_(r.features().incremental_buffers), buffers_(buffers) {
  finished_.reserve(buffers);
  for (std::uint32_t id = 0; id < buffers; ++id) {
    buffers_[id].memory = blocks_.take(buffer_bytes_);
    // Touched now, so that their page faults do not come with the first traffic.
    std::memset(buffers_[id].memory.bytes, 0, buffer_bytes_);
    provide(static_cast<std::uint16_t>(id));
  }
}

buffer_ring::~buffer_ring() {
  for (buffer& b : buffers_) blocks_.give_back(b.memory);
  for (kept& k : kept_) blocks_.give_back(k.memory);
}

void buffer_ring::provide(std::uint16_t id) {
  buffer& b = buffers_[id];
  b.consumed = 0;
  b.with_kernel = true;
  ++with_kernel_;
  io_uring_buf_ring_add(kernel_ring_, b.memory.bytes, buffer_bytes_, id, static_cast<int>(mask_), 0);
  io_uring_buf_ring_advance(kernel_ring_, 1);
}

std::span<std::byte> buffer_ring::received(const completion& done) {
  buffer& b = buffers_[done.buffer_id];
  const std::span<std::byte> bytes{b.memory.bytes + b.consumed, static_cast<std::size_t>(done.result > 0 ? done.result : 0)};
  b.consumed += static_cast<std::uint32_t>(bytes.size());
  if (!incremental_ || !done.buffer_continues) {
    b.with_kernel = false;
    --with_kernel_;
    finished_.push_back(done.buffer_id);
  }
  return bytes;
}

void buffer_ring::recycle() {
  for (const std::uint16_t id : finished_) {
    buffer& b = buffers_[id];
    if (b.leases > 0) {
      kept_.push_back({b.memory, b.leases});
      b.memory = blocks_.take(buffer_bytes_);
      b.leases = 0;
    }
    provide(id);
  }
  finished_.clear();
}

std::byte* buffer_ring::lease(const std::byte* bytes) {
  for (buffer& b : buffers_) {
    if (bytes < b.memory.bytes || bytes >= b.memory.bytes + b.memory.capacity) continue;
    ++b.leases;
    return b.memory.bytes;
  }
  return nullptr;
}

void buffer_ring::end_lease(std::byte* lease) {
  for (buffer& b : buffers_) {
    if (b.memory.bytes != lease) continue;
    RINGCAST_ASSERT(b.leases > 0);
    --b.leases;
    return;
  }
  for (kept& k : kept_) {
    if (k.memory.bytes != lease) continue;
    if (--k.leases == 0) {
      blocks_.give_back(k.memory);
      k = kept_.back();
      kept_.pop_back();
    }
    return;
  }
  RINGCAST_ASSERT(false); // a lease that nobody gave
}

} // namespace ringcast::engine
