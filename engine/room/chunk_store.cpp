#include "engine/room/chunk_store.hpp"

#include "engine/room/room_log.hpp"
#include <ringcast/detail/assert.hpp>

#include <new>

namespace ringcast::engine {

namespace {

// What scratch() keeps for the next message; a larger one's memory goes back at once when a smaller one comes.
constexpr std::uint32_t scratch_bytes_kept = 64 * 1024;

} // namespace

chunk_store::~chunk_store() {
  reclaim();
  blocks_.give_back(scratch_);
  RINGCAST_ASSERT(chunks_out_ == 0);
}

log_chunk* chunk_store::take(std::size_t bytes_min) {
  const block b = blocks_.take(bytes_min + sizeof(log_chunk));
  auto* chunk = new (b.bytes) log_chunk;
  chunk->capacity = b.capacity;
  chunk->home = this;
  ++chunks_out_;
  bytes_out_ += b.capacity;
  return chunk;
}

void chunk_store::came_back(log_chunk* chunk) {
  chunk->next_back = back_.load(std::memory_order_relaxed);
  while (!back_.compare_exchange_weak(chunk->next_back, chunk, std::memory_order_release, std::memory_order_relaxed)) {
  }
}

void chunk_store::free_all() {
  log_chunk* next = back_.exchange(nullptr, std::memory_order_acquire);
  while (next != nullptr) {
    log_chunk* const chunk = next;
    next = chunk->next_back;
    ++chunks_visited_;
    if (chunk->writer != nullptr) chunk->writer->forget(chunk);
    const std::uint32_t capacity = chunk->capacity;
    chunk->~log_chunk();
    --chunks_out_;
    bytes_out_ -= capacity;
    blocks_.give_back({reinterpret_cast<std::byte*>(chunk), capacity});
  }
}

std::byte* chunk_store::scratch(std::size_t bytes_min) {
  if (scratch_.capacity < bytes_min || scratch_.capacity > scratch_bytes_kept) {
    blocks_.give_back(scratch_);
    scratch_ = blocks_.take(bytes_min);
  }
  return scratch_.bytes;
}

} // namespace ringcast::engine
