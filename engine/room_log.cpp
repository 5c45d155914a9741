#include "engine/room_log.hpp"

#include "proto/frame_writer.hpp"

#include <algorithm>
#include <cstring>
#include <new>

namespace ringcast {

namespace {

// A chunk holds at least this and at most that, unless one message needs more.
constexpr std::uint32_t chunk_bytes_min = 4096;
constexpr std::uint32_t chunk_bytes_max = 256 * 1024;

} // namespace

chunk_store::~chunk_store() {
  reclaim();
  RINGCAST_ASSERT(retired_.empty());
}

log_chunk* chunk_store::take(std::size_t bytes_min) {
  const block b = blocks_.take(bytes_min + sizeof(log_chunk));
  auto* chunk = new (b.bytes) log_chunk;
  chunk->capacity = b.capacity;
  return chunk;
}

void chunk_store::retire(log_chunk* chunk) {
  // The acquire pairs with the readers' release: their last reads are over before the bytes are written again.
  if (chunk->references.load(std::memory_order_acquire) == 1)
    free(chunk);
  else
    retired_.push_back(chunk);
}

void chunk_store::reclaim() {
  std::erase_if(retired_, [this](log_chunk* chunk) {
    if (chunk->references.load(std::memory_order_acquire) != 1) return false;
    free(chunk);
    return true;
  });
}

void chunk_store::free(log_chunk* chunk) {
  const std::uint32_t capacity = chunk->capacity;
  chunk->~log_chunk();
  blocks_.give_back({reinterpret_cast<std::byte*>(chunk), capacity});
}

// For one frame of at most so many bytes; finish() says how many it took.
std::byte* room_log::make_room(chunk_store& store, std::size_t bytes) {
  if (tail_ == nullptr || tail_->room() < bytes + sizeof(log_entry)) start_chunk(store, bytes + sizeof(log_entry));
  return tail_->data() + tail_->data_end;
}

void room_log::finish(std::size_t frame_bytes, const log_message& message) {
  RINGCAST_ASSERT(message.sequence == next_sequence_ || !has_unpublished());
  tail_->data_end += static_cast<std::uint32_t>(frame_bytes);
  tail_->entry(tail_->entries++) = {.end = tail_->data_end, .author_hears = message.author_hears, .author = message.author};
  authors_deaf_ |= !message.author_hears;
  next_sequence_ = message.sequence + 1;
}

void room_log::write_plain(std::byte* out, const log_message& message) {
  finish(write_frame(out, message.op, message.payload), message);
}

void room_log::append(chunk_store& store, const log_message& message) {
  write_plain(make_room(store, frame_bytes(message.payload.size(), false)), message);
}

void room_log::append_deflated(chunk_store& store, const log_message& message, compressor& with, const compression_options& options) {
  const std::size_t bytes = message.payload.size();
  if (bytes < options.threshold_to_room()) return append(store, message);
  const std::size_t room_for_header = frame_header_bytes(bytes, false);
  const std::size_t bound = deflate_message_bound(bytes);
  std::byte* const out = make_room(store, room_for_header + bound);
  std::byte* const into = out + room_for_header;
  const auto deflated = with.deflate(message.payload, {into, bound}, options.level_to_room(), options.window());
  if (!deflated) return write_plain(out, message);
  const std::size_t header_bytes = write_frame_header(out, message.op, *deflated, true, true);
  if (header_bytes != room_for_header) std::memmove(out + header_bytes, into, *deflated);
  finish(header_bytes + *deflated, message);
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

void room_log::start_chunk(chunk_store& store, std::size_t bytes_min) {
  if (tail_ != nullptr) {
    // The turn did not fit, so the next chunk is larger: one span costs a member less than two.
    if (tail_->data_end > published_) {
      finished_.push_back(open_span());
      chunk_bytes_ = std::min(chunk_bytes_ * 4, chunk_bytes_max);
    }
    full_.push_back(tail_);
  }
  tail_ = store.take(std::max<std::size_t>(bytes_min, chunk_bytes_ - sizeof(log_chunk)));
  published_ = published_entries_ = 0;
  authors_deaf_ = false;
}

void room_log::take_unpublished(std::vector<log_span>& out) {
  out.insert(out.end(), finished_.begin(), finished_.end());
  finished_.clear();
  if (tail_ == nullptr || tail_->data_end == published_) return;
  out.push_back(open_span());
  published_ = tail_->data_end;
  published_entries_ = tail_->entries;
  authors_deaf_ = false;
}

void room_log::let_go(chunk_store& store) {
  for (log_chunk* chunk : full_) store.retire(chunk);
  full_.clear();
  if (tail_ == nullptr) return;
  if (tail_->data_end < chunk_bytes_ / 8 && chunk_bytes_ > chunk_bytes_min) chunk_bytes_ /= 2;
  store.retire(tail_);
  tail_ = nullptr;
}

} // namespace ringcast
