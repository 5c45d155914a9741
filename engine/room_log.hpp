// The log of a room: finished frames, one behind the other, in chunks that all shards may read up to the end that was published to them.
//
// One writer, the room's home shard. A chunk holds frames from its start and an entry for each of them from its end towards the middle, so
// that a reader can find the frames' ends, their sequence numbers and their authors. What lies before a published end never changes.
//
// Ownership: a chunk is made and freed by its home. The home holds one reference while it may write to it or waits for readers; each
// published span holds one, taken by the home before the span leaves and dropped by the reader, on any shard, when it is done with it.
#pragma once

#include "engine/block_pool.hpp"
#include "engine/compression.hpp"
#include "engine/compressor.hpp"
#include "proto/opcode.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ringcast {

struct log_entry {
  std::uint32_t end;            // offset in the chunk behind the frame
  std::uint32_t author_hears;   // 0: the author is served without this frame
  std::uint64_t author;         // a connection_handle, 0: nobody
};

struct log_chunk {
  std::atomic<std::uint32_t> references{1};
  std::uint32_t capacity = 0; // of the block, with this header
  std::uint32_t data_end = 0; // writer's
  std::uint32_t entries = 0;  // writer's

  [[nodiscard]] std::byte* data() { return reinterpret_cast<std::byte*>(this + 1); }
  [[nodiscard]] log_entry& entry(std::uint32_t index) {
    return reinterpret_cast<log_entry*>(reinterpret_cast<std::byte*>(this) + capacity)[-1 - static_cast<std::ptrdiff_t>(index)];
  }
  [[nodiscard]] std::size_t room() const { return capacity - sizeof(log_chunk) - data_end - entries * sizeof(log_entry); }
  void release() { references.fetch_sub(1, std::memory_order_release); }
};
static_assert(sizeof(log_chunk) == 16 && sizeof(log_entry) == 16);

// A run of frames in one chunk, as it is published.
struct log_span {
  log_chunk* chunk = nullptr;
  std::uint32_t begin = 0, end = 0;             // bytes
  std::uint32_t entry_begin = 0, entry_end = 0; // frames
  std::uint64_t first_sequence = 0;             // of entry_begin
  std::uint64_t some_authors_deaf = 0;          // not 0: at least one frame is not for its author

  [[nodiscard]] std::uint32_t bytes() const { return end - begin; }
  [[nodiscard]] std::uint32_t frames() const { return entry_end - entry_begin; }
};

// Where the chunks of all rooms of a home shard come from and go to.
class chunk_store {
 public:
  explicit chunk_store(block_pool& blocks) : blocks_(blocks) {}
  ~chunk_store();

  [[nodiscard]] log_chunk* take(std::size_t bytes_min);
  // The writer is done with the chunk; it is freed once its readers are.
  void retire(log_chunk* chunk);
  // Frees what its readers have left. Cheap when nothing waits.
  void reclaim();
  [[nodiscard]] std::size_t waiting() const { return retired_.size(); }

 private:
  void free(log_chunk* chunk);
  block_pool& blocks_;
  std::vector<log_chunk*> retired_;
};

// A room has two logs of the same messages with the same sequence numbers: the frames of one are as they are, and those of the other are
// deflated where that makes them smaller (RFC 7692). Each member reads one of them.
enum class room_lane : std::uint8_t { plain, deflating };
inline constexpr std::size_t room_lanes = 2;

// A message on its way into a log.
struct log_message {
  opcode op;
  std::span<const std::byte> payload;
  std::uint64_t author;
  bool author_hears;
  std::uint64_t sequence; // one more than the message before it, where that one is not yet published
};

// The writing side of one lane of a room.
class room_log {
 public:
  // Appends one unmasked server frame (RFC 6455 5.2).
  void append(chunk_store& store, const log_message& message);
  // The same, deflated straight into the chunk; what does not get smaller is appended as it is.
  void append_deflated(chunk_store& store, const log_message& message, compressor& with, const compression_options& options);

  [[nodiscard]] bool has_unpublished() const { return !finished_.empty() || (tail_ != nullptr && tail_->data_end > published_); }
  // The spans appended since the last call. The caller takes a reference for each reader before it lets them go.
  void take_unpublished(std::vector<log_span>& out);
  // After the spans of a turn were published: an idle room holds no chunk.
  void let_go(chunk_store& store);

 private:
  [[nodiscard]] std::byte* make_room(chunk_store& store, std::size_t bytes);
  void write_plain(std::byte* out, const log_message& message);
  void finish(std::size_t frame_bytes, const log_message& message);
  void start_chunk(chunk_store& store, std::size_t bytes_min);
  [[nodiscard]] log_span open_span() const;

  log_chunk* tail_ = nullptr;
  std::uint32_t published_ = 0;         // bytes of tail_
  std::uint32_t published_entries_ = 0; // entries of tail_
  std::uint32_t chunk_bytes_ = 4096;    // grows with what a turn needs, shrinks slowly
  std::uint64_t next_sequence_ = 1;
  bool authors_deaf_ = false;           // in the open span
  std::vector<log_span> finished_;      // spans of this turn in chunks before tail_
  std::vector<log_chunk*> full_;        // the chunks of finished_, retired once published
};

} // namespace ringcast
