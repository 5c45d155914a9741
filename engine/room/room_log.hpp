// The log of a room: finished frames, one behind the other, in the chunks of a chunk_store. One writer, the room's home shard.
//
// As long as its readers keep up, each turn's messages begin a chunk of their own, which comes back a turn later and is still in cache. While
// somebody is behind, or the room has a history, the log goes on in its last chunk instead, so what is pinned are full chunks and not one for
// each turn. A log that nobody reads or keeps holds no chunk.
#pragma once

#include "engine/connection/compression_rules.hpp"
#include "engine/connection/compressor.hpp"
#include "engine/room/chunk_store.hpp"
#include "proto/event_stream.hpp"
#include <ringcast/opcode.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ringcast::engine {

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

// What so many bytes in so many frames cost the log: it is what counts against a member that has not been sent them.
[[nodiscard]] constexpr std::uint64_t log_cost(std::uint64_t bytes, std::uint64_t frames) { return bytes + frames * sizeof(log_entry); }

// A room has logs of the same messages with the same sequence numbers. The frames of the deflating ones are deflated where that makes them
// smaller (RFC 7692); those of the numbered ones have their sequence number in front of the payload (sequence_prefix); that of event streams has
// chunks with an event each in place of frames (proto/event_stream.hpp). Each member reads one of them, and each is written only while somebody
// reads it; the plain one also where the room has a history.
enum class room_encoding : std::uint8_t { plain, deflating, numbered, numbered_deflating, event_stream };
inline constexpr std::size_t room_encodings = 5;

[[nodiscard]] constexpr std::size_t index_of(room_encoding encoding) { return static_cast<std::size_t>(encoding); }
[[nodiscard]] constexpr bool is_deflating(room_encoding encoding) { return (index_of(encoding) & 1) != 0; }
[[nodiscard]] constexpr bool is_numbered(room_encoding encoding) { return (index_of(encoding) & 2) != 0; }
[[nodiscard]] constexpr room_encoding encoding_with(bool deflating, bool numbered) {
  return static_cast<room_encoding>((deflating ? 1 : 0) + (numbered ? 2 : 0));
}
// The same, not deflated.
[[nodiscard]] constexpr room_encoding undeflated(room_encoding encoding) { return static_cast<room_encoding>(index_of(encoding) & ~std::size_t{1}); }

// What stands in front of a numbered message: in text its number and a line feed, in binary its number in 8 bytes, most significant first.
class sequence_prefix {
 public:
  sequence_prefix(opcode op, std::uint64_t sequence);
  [[nodiscard]] std::span<const std::byte> bytes() const { return {bytes_, size_}; }
  static constexpr std::size_t bytes_max = 21;

 private:
  std::byte bytes_[bytes_max];
  std::size_t size_;
};

// A message on its way into a log.
struct log_message {
  opcode op;
  std::span<const std::byte> payload;
  std::uint64_t author;
  bool author_hears;
  std::uint64_t sequence; // one more than the message before it, where that one is not yet published
  std::span<const std::byte> prefix{}; // in front of the payload

  [[nodiscard]] std::size_t bytes() const { return prefix.size() + payload.size(); }
};

// The writing side of one encoding of a room.
class room_log {
 public:
  // A chunk holds at least this and at most that, unless one message needs more. The larger one bounds what a reader pins besides what it
  // still needs: the rest of the chunk that it stands in, and of the one that is being written.
  static constexpr std::uint32_t chunk_bytes_min = 4096;
  static constexpr std::uint32_t chunk_bytes_max = 64 * 1024;
  // Readers that keep up, on this shard or another, leave a chunk within two turns or three. With so many out somebody is behind.
  static constexpr std::uint32_t chunks_out_fresh = 3;

  room_log() = default;
  room_log(const room_log&) = delete;
  room_log& operator=(const room_log&) = delete;
  ~room_log();

  // Sees to it that appending a message of so many bytes needs nothing from the allocator: throws std::bad_alloc before anything has changed.
  void prepare(chunk_store& store, std::size_t message_bytes);
  void prepare_deflated(chunk_store& store, std::size_t message_bytes, const compression_options& options, bool numbered);
  // What is published is kept by somebody for long: the log goes on in its last chunk.
  void fill_chunks(bool is_kept) { is_kept_ = is_kept; }

  // Appends one unmasked server frame (RFC 6455 5.2).
  void append(chunk_store& store, const log_message& message);
  // Appends one event of an event stream.
  void append_event(chunk_store& store, const log_message& message, const stream_event& event);
  // The same, deflated; what does not get smaller is appended as it is.
  void append_deflated(chunk_store& store, const log_message& message, compressor& with, const compression_options& options);

  [[nodiscard]] bool has_unpublished() const { return !finished_.empty() || (writing_ && tail_->data_end > published_); }
  // The spans appended since the last call; each comes with one reference of its chunk for each reader.
  void publish(std::uint32_t readers, std::vector<log_span>& out);

  // The bytes of all chunks that somebody reads or writes.
  [[nodiscard]] std::uint64_t bytes_out() const { return bytes_out_; }
  [[nodiscard]] std::uint32_t chunks_out() const { return chunks_out_; }

 private:
  friend class chunk_store;
  [[nodiscard]] std::byte* make_room(chunk_store& store, std::size_t bytes);
  void write_plain(std::byte* out, const log_message& message);
  void finish(std::size_t frame_bytes, const log_message& message);
  void begin_turn();
  void start_chunk(chunk_store& store, std::size_t bytes_min);
  [[nodiscard]] bool fits(std::size_t bytes) const { return tail_ != nullptr && tail_->room() >= bytes + sizeof(log_entry); }
  [[nodiscard]] log_span open_span() const;
  void forget(log_chunk* chunk); // it is about to be freed

  log_chunk* tail_ = nullptr;           // where the next frame goes, if that is still there; held only while writing_
  bool writing_ = false;                // something was appended in this turn
  bool is_kept_ = false;
  bool authors_deaf_ = false;           // in the open span
  std::uint32_t published_ = 0;         // bytes of tail_
  std::uint32_t published_entries_ = 0; // entries of tail_
  std::uint32_t turn_bytes_ = 0;        // appended in this turn, with their entries
  std::uint32_t chunk_bytes_ = chunk_bytes_min; // grows with what a turn needs, shrinks slowly
  std::uint32_t chunks_out_ = 0;
  std::uint64_t bytes_out_ = 0;
  std::uint64_t next_sequence_ = 1;
  std::vector<log_span> finished_;      // spans of this turn in chunks before tail_; their chunks are held
  intrusive_list<log_chunk, chunks_of_a_log> chunks_; // all that are out, in the order of the log
};

} // namespace ringcast::engine
