#include "engine/room/room_log.hpp"

#include "proto/frame_writer.hpp"
#include <ringcast/detail/assert.hpp>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace ringcast::engine {

sequence_prefix::sequence_prefix(opcode op, std::uint64_t sequence) {
  if (op == opcode::text) {
    auto* const text = reinterpret_cast<char*>(bytes_);
    char* const end = std::to_chars(text, text + bytes_max - 1, sequence).ptr;
    *end = '\n';
    size_ = static_cast<std::size_t>(end + 1 - text);
    return;
  }
  size_ = 8;
  for (std::size_t i = 0; i < size_; ++i) bytes_[i] = static_cast<std::byte>(sequence >> (8 * (size_ - 1 - i)));
}

room_log::~room_log() {
  // What was appended and never published has no readers.
  std::vector<log_span> unread;
  if (writing_) publish(0, unread);
  while (!chunks_.empty()) {
    log_chunk& chunk = chunks_.front();
    chunk.unlink();
    chunk.writer = nullptr;
  }
}

void room_log::forget(log_chunk* chunk) {
  if (chunk == tail_) tail_ = nullptr;
  --chunks_out_;
  bytes_out_ -= chunk->capacity;
}

// For one frame of at most so many bytes; finish() says how many it took.
std::byte* room_log::make_room(chunk_store& store, std::size_t bytes) {
  if (!writing_) begin_turn();
  if (!fits(bytes)) start_chunk(store, bytes + sizeof(log_entry));
  return tail_->data() + tail_->data_end;
}

void room_log::begin_turn() {
  if (tail_ == nullptr) return;
  if ((is_kept_ || chunks_out_ >= chunks_out_fresh) && tail_->hold_if_held())
    writing_ = true;
  else
    tail_ = nullptr;
}

void room_log::start_chunk(chunk_store& store, std::size_t bytes_min) {
  if (writing_) {
    if (tail_->data_end > published_)
      finished_.push_back(open_span());
    else
      tail_->release();
    // The turn did not fit, so the next chunk is larger: one span costs a member less than two.
    if (turn_bytes_ >= chunk_bytes_ / 2) chunk_bytes_ = std::min(chunk_bytes_ * 4, chunk_bytes_max);
  }
  tail_ = store.take(std::max<std::size_t>(bytes_min, chunk_bytes_ - sizeof(log_chunk)));
  tail_->writer = this;
  chunks_.append(*tail_);
  ++chunks_out_;
  bytes_out_ += tail_->capacity;
  writing_ = true;
  published_ = published_entries_ = 0;
  authors_deaf_ = false;
}

void room_log::finish(std::size_t frame_bytes, const log_message& message) {
  RINGCAST_ASSERT(message.sequence == next_sequence_ || !has_unpublished());
  tail_->data_end += static_cast<std::uint32_t>(frame_bytes);
  tail_->entry(tail_->entries++) = {.end = tail_->data_end, .author_hears = message.author_hears, .author = message.author};
  turn_bytes_ += static_cast<std::uint32_t>(frame_bytes + sizeof(log_entry));
  authors_deaf_ |= !message.author_hears;
  next_sequence_ = message.sequence + 1;
}

void room_log::write_plain(std::byte* out, const log_message& message) {
  std::size_t bytes = write_frame_header(out, message.op, message.bytes(), true, false);
  for (const std::span<const std::byte> part : {message.prefix, message.payload}) {
    if (!part.empty()) std::memcpy(out + bytes, part.data(), part.size());
    bytes += part.size();
  }
  finish(bytes, message);
}

void room_log::prepare(chunk_store& store, std::size_t message_bytes) {
  const std::size_t bytes = frame_bytes(message_bytes, false);
  if (writing_ && fits(bytes)) return;
  if (finished_.size() == finished_.capacity()) finished_.reserve(2 * finished_.size() + 4);
  store.prepare(std::max<std::size_t>(bytes + sizeof(log_entry), std::min(chunk_bytes_ * 4, chunk_bytes_max)));
}

namespace {

// What a message is deflated into where it does not fit into its chunk in the worst case, and what it is deflated from if it is numbered.
struct deflating_memory {
  std::size_t header, bound, joined;
  [[nodiscard]] std::size_t bytes() const { return header + bound + joined; }
};

deflating_memory memory_of(std::size_t message_bytes, bool numbered) {
  return {.header = frame_header_bytes(message_bytes, false), .bound = deflate_message_bound(message_bytes), .joined = numbered ? message_bytes : 0};
}

} // namespace

void room_log::prepare_deflated(chunk_store& store, std::size_t message_bytes, const compression_options& options, bool numbered) {
  prepare(store, message_bytes);
  if (message_bytes >= threshold_to_room(options)) (void)store.scratch(memory_of(message_bytes, numbered).bytes());
}

void room_log::append(chunk_store& store, const log_message& message) { write_plain(make_room(store, frame_bytes(message.bytes(), false)), message); }

void room_log::append_event(chunk_store& store, const log_message& message, const stream_event& event) {
  const std::size_t bytes = event_chunk_bytes(event);
  write_event_chunk(make_room(store, bytes), event);
  finish(bytes, message);
}

void room_log::append_deflated(chunk_store& store, const log_message& message, compressor& with, const compression_options& options) {
  const std::size_t bytes = message.bytes();
  if (bytes < threshold_to_room(options)) return append(store, message);
  const deflating_memory needs = memory_of(bytes, !message.prefix.empty());
  if (!writing_) begin_turn();
  if (!writing_ && needs.header + needs.bound + sizeof(log_entry) + sizeof(log_chunk) <= chunk_bytes_) start_chunk(store, 0);
  // Straight into the chunk if the worst case fits there. If not, the result still may: a chunk is not left half empty for that.
  const bool in_place = writing_ && fits(needs.header + needs.bound);
  std::byte* const scratch = in_place && needs.joined == 0 ? nullptr : store.scratch(needs.bytes());
  std::byte* out = in_place ? tail_->data() + tail_->data_end : scratch;
  std::span<const std::byte> whole = message.payload;
  if (needs.joined > 0) {
    std::byte* const joined = scratch + needs.header + needs.bound;
    std::memcpy(joined, message.prefix.data(), message.prefix.size());
    if (!message.payload.empty()) std::memcpy(joined + message.prefix.size(), message.payload.data(), message.payload.size());
    whole = {joined, bytes};
  }
  const auto deflated = with.deflate(whole, {out + needs.header, needs.bound}, level_to_room(options), window_of(options));
  if (!deflated) return append(store, message);
  const std::size_t frame = frame_header_bytes(*deflated, false) + *deflated;
  std::byte* const made = out + needs.header;
  if (!in_place) out = make_room(store, frame);
  const std::size_t header_bytes = write_frame_header(out, message.op, *deflated, true, true);
  if (out + header_bytes != made) std::memmove(out + header_bytes, made, *deflated);
  finish(frame, message);
}

log_span room_log::open_span() const {
  return {.chunk = tail_,
          .begin = published_,
          .end = tail_->data_end,
          .entry_begin = published_entries_,
          .entry_end = tail_->entries,
          .first_sequence = next_sequence_ - (tail_->entries - published_entries_),
          .some_authors_deaf = authors_deaf_};
}

void room_log::publish(std::uint32_t readers, std::vector<log_span>& out) {
  if (!writing_) return;
  writing_ = false;
  if (turn_bytes_ < chunk_bytes_ / 8 && chunk_bytes_ > chunk_bytes_min) chunk_bytes_ /= 2;
  turn_bytes_ = 0;
  const std::size_t first = out.size();
  out.insert(out.end(), finished_.begin(), finished_.end());
  finished_.clear();
  if (tail_->data_end > published_)
    out.push_back(open_span());
  else
    tail_->release();
  published_ = tail_->data_end;
  published_entries_ = tail_->entries;
  authors_deaf_ = false;
  // The readers' references are there before the first span leaves: a fast reader must not be the last one.
  for (std::size_t i = first; i < out.size(); ++i) {
    if (readers > 0) out[i].chunk->hold(readers);
    out[i].chunk->release();
  }
}

} // namespace ringcast::engine
