// The memory of room logs: chunks that one shard writes and every shard reads up to the end that was published to it.
//
// A chunk holds frames from its start and an entry for each of them from its end towards the middle, so that a reader can find the frames'
// ends, their sequence numbers and their authors. What lies before a published end never changes.
//
// Ownership: a chunk is made and freed by its home. References are held by its log while that appends in a turn, and by every span that
// was published; a reader drops its own on any shard. Whoever drops the last one puts the chunk into the list of those that came back,
// and the home takes all of them at once: it never looks at a chunk that somebody still reads, however many there are.
#pragma once

#include "engine/base/block_pool.hpp"
#include <ringcast/detail/intrusive_list.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace ringcast::engine {

class chunk_store;
class room_log;

struct log_entry {
  std::uint32_t end;            // offset in the chunk behind the frame
  std::uint32_t author_hears;   // 0: the author is served without this frame
  std::uint64_t author;         // a connection_handle, 0: nobody
};

struct chunks_of_a_log;

struct log_chunk : list_link<chunks_of_a_log> {
  std::atomic<std::uint32_t> references{1};
  std::uint32_t capacity = 0;        // of the block, with this header
  std::uint32_t data_end = 0;        // writer's
  std::uint32_t entries = 0;         // writer's
  chunk_store* home = nullptr;
  room_log* writer = nullptr;        // home's; null: the log has gone
  log_chunk* next_back = nullptr;    // in the list of those that came back

  [[nodiscard]] std::byte* data() { return reinterpret_cast<std::byte*>(this + 1); }
  [[nodiscard]] log_entry& entry(std::uint32_t index) {
    return reinterpret_cast<log_entry*>(reinterpret_cast<std::byte*>(this) + capacity)[-1 - static_cast<std::ptrdiff_t>(index)];
  }
  [[nodiscard]] std::size_t room() const { return capacity - sizeof(log_chunk) - data_end - entries * sizeof(log_entry); }

  void hold(std::uint32_t times = 1) { references.fetch_add(times, std::memory_order_relaxed); }
  // Takes a reference if anybody else still has one; a chunk that nobody holds is on its way back and cannot be had again.
  [[nodiscard]] bool hold_if_held() {
    std::uint32_t held = references.load(std::memory_order_relaxed);
    while (held != 0)
      if (references.compare_exchange_weak(held, held + 1, std::memory_order_relaxed)) return true;
    return false;
  }
  void release();
};
static_assert(sizeof(log_chunk) == 56 && sizeof(log_entry) == 16);

// Where the chunks of all rooms of a home shard come from and go to. One thread, but for came_back().
class chunk_store {
 public:
  explicit chunk_store(block_pool& blocks) : blocks_(blocks) {}
  chunk_store(const chunk_store&) = delete;
  chunk_store& operator=(const chunk_store&) = delete;
  ~chunk_store();

  // Room for so many bytes of frames and entries. The caller holds the one reference.
  [[nodiscard]] log_chunk* take(std::size_t bytes_min);
  // Sees to it that the pool has a block for the next take() of at most so many bytes, or throws std::bad_alloc.
  void prepare(std::size_t bytes_min) { blocks_.give_back(blocks_.take(bytes_min + sizeof(log_chunk))); }
  // Frees what its readers have left; one load when there is nothing.
  void reclaim() {
    if (back_.load(std::memory_order_relaxed) != nullptr) free_all();
  }
  // From log_chunk::release(), on any thread.
  void came_back(log_chunk* chunk);

  // Chunks that are taken and not yet free again, and their bytes.
  [[nodiscard]] std::size_t chunks_out() const { return chunks_out_; }
  [[nodiscard]] std::uint64_t bytes_out() const { return bytes_out_; }
  // Every chunk that was ever looked at to be freed.
  [[nodiscard]] std::uint64_t chunks_visited() const { return chunks_visited_; }

  // Memory for the time of a call, for what has to be made before its size is known.
  [[nodiscard]] std::byte* scratch(std::size_t bytes_min);

 private:
  void free_all();

  block_pool& blocks_;
  block scratch_;
  std::size_t chunks_out_ = 0;
  std::uint64_t bytes_out_ = 0;
  std::uint64_t chunks_visited_ = 0;
  alignas(64) std::atomic<log_chunk*> back_{nullptr}; // written by other shards
};

inline void log_chunk::release() {
  // The acquire part makes what other readers did come before; the home's take of the list comes behind ours.
  if (references.fetch_sub(1, std::memory_order_acq_rel) == 1) home->came_back(this);
}

} // namespace ringcast::engine
