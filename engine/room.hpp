// One shard's part of a room: the members that are connected to this shard, and the window of the room's log that some of them still need.
// The log itself, its sequence numbers and the names of the members live on the room's home shard (room_home).
//
// Positions count the bytes of the log as this shard has received it. They only grow; frames begin and end at positions.
#pragma once

#include "engine/connection.hpp"
#include "engine/room_log.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace ringcast {

struct room_part;

// What happens to a member that is further behind than the bound.
enum class slow_consumer : std::uint8_t {
  close,       // it is closed with 1013
  drop_newest, // it gets nothing new until it has taken what was queued for it
  drop_oldest, // it loses the oldest messages that it has not been sent
  latest,      // it gets only the latest message
};

// Who keeps up: all that a fan-out touches of a member.
struct keeping_up_member {
  int socket;
  std::uint32_t slot : 31;
  std::uint32_t gathered : 1; // served together with other output of its connection, not from here
};
static_assert(sizeof(keeping_up_member) == 8);

// What one publication did to the members of one shard, or of all of them.
struct broadcast_report {
  std::uint32_t members = 0;   // in the room when it was applied
  std::uint32_t queued = 0;    // members that will be sent the message, unless they leave
  std::uint32_t conflated = 0; // members for which it took the place of messages not yet sent
  std::uint32_t dropped = 0;   // members that will not be sent it, or that were closed because of it
};

struct window_span : log_span {
  std::uint64_t position = 0; // of its first byte
  [[nodiscard]] std::uint64_t position_end() const { return position + bytes(); }
};

// The spans of the log that somebody may still need, oldest first: contiguous, and without an allocation once it has grown.
class span_window {
 public:
  [[nodiscard]] const window_span* begin() const { return spans_.data() + first_; }
  [[nodiscard]] const window_span* end() const { return spans_.data() + spans_.size(); }
  [[nodiscard]] bool empty() const { return first_ == spans_.size(); }
  [[nodiscard]] std::size_t size() const { return spans_.size() - first_; }
  [[nodiscard]] const window_span& front() const { return spans_[first_]; }
  [[nodiscard]] const window_span& back() const { return spans_.back(); }
  void push_back(const window_span& span) { spans_.push_back(span); }
  void pop_front() {
    ++first_;
    // What was dropped is moved over only when it is at least half, so that a long window costs a constant time a span.
    if (first_ * 2 < spans_.size()) return;
    spans_.erase(spans_.begin(), spans_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
  template <class Drop>
  void erase_if(Drop&& drop) {
    spans_.erase(std::remove_if(spans_.begin() + static_cast<std::ptrdiff_t>(first_), spans_.end(), drop), spans_.end());
    if (empty()) clear();
  }
  void clear() {
    constexpr std::size_t kept_max = 1024; // what a slow member made it grow to is given back
    if (spans_.capacity() > kept_max) spans_ = {};
    spans_.clear();
    first_ = 0;
  }

 private:
  std::vector<window_span> spans_;
  std::size_t first_ = 0;
};

// A run of bytes that one member is to be sent.
struct log_piece {
  log_chunk* chunk;
  std::uint32_t begin, end;
  std::uint64_t position; // of its first byte

  [[nodiscard]] std::byte* bytes() const { return chunk->data() + begin; }
  [[nodiscard]] std::uint32_t size() const { return end - begin; }
};

// What is known of a member only while it is behind. It belongs to the membership.
struct lag {
  connection* who = nullptr;
  std::uint64_t cursor = 0;      // position of the next frame to send; what is in flight lies before it
  std::uint64_t stop = no_stop;  // drop_newest: the position behind the last frame that it will be sent
  std::uint32_t flying = 0;      // bytes of this room in its send in flight
  std::uint32_t index = 0;       // in room::laggards
  // The messages that the policy took from it and that it has not been told about: sequence numbers from `gap_from` to before `gap_end`.
  std::uint64_t gap_from = 0;
  std::uint64_t gap_end = 0;

  void lose(std::uint64_t from, std::uint64_t end) {
    if (gap_end == 0) gap_from = from;
    gap_end = end;
  }

  static constexpr std::uint64_t no_stop = UINT64_MAX;
};

// A seat in a room. A member that keeps up is an entry in the room's dense array; one that fell behind has a lag.
struct membership {
  room_part* where = nullptr;
  membership* next = nullptr; // of the same connection
  lag* behind = nullptr;
  std::uint32_t index = 0;    // in room::keeping_up
  bool hears_itself = true;
  std::unique_ptr<std::string> name; // under which it joined, if it did
};

// One shard's part of a room; what programs hold is the `room` of room_handle.hpp.
struct room_part {
  std::string name;
  std::uint32_t index = 0; // of the shard's room_table
  std::uint32_t generation = 0;
  std::uint32_t home_shard = 0;
  room_lane lane = room_lane::plain; // of all its members; a shard may have one part of a room for each lane

  std::vector<keeping_up_member> keeping_up;
  std::vector<membership*> laggards; // their lag::index is their place here

  span_window window;
  std::uint64_t end = 0;           // position behind the last span
  std::uint64_t flushed = 0;       // what members that keep up have been sent
  std::uint64_t flushed_before = 0; // the same one flush earlier: where a send that failed had begun
  std::uint64_t next_sequence = 1;

  bool dirty = false;              // listed for this turn's flush
  bool settling = false;           // listed for the settling of the last flush
  bool member_count_changed = false;
  bool listed_empty = false;
  std::uint32_t claims_under_way = 0; // names asked for at the home; until it answers the room stays attached
  broadcast_report last_report;       // of the span applied last

  [[nodiscard]] std::uint32_t members() const { return static_cast<std::uint32_t>(keeping_up.size() + laggards.size()); }
};

// Calls visit(log_piece) for the bytes from one position to another, without the frames that `author` is not to hear.
// Neighbouring frames make one piece.
template <class Visit>
void for_each_piece(const room_part& r, std::uint64_t from, std::uint64_t to, std::uint64_t author, Visit&& visit) {
  auto first = std::partition_point(r.window.begin(), r.window.end(),
                                    [from](const window_span& span) { return span.position_end() <= from; });
  for (; first != r.window.end() && first->position < to; ++first) {
    const window_span& span = *first;
    const auto piece = [&](std::uint32_t begin, std::uint32_t end) {
      visit(log_piece{span.chunk, begin, end, span.position + (begin - span.begin)});
    };
    std::uint32_t begin = span.begin + static_cast<std::uint32_t>(from > span.position ? from - span.position : 0);
    const std::uint32_t end = span.end - static_cast<std::uint32_t>(to < span.position_end() ? span.position_end() - to : 0);
    if (span.some_authors_deaf && author != 0) {
      std::uint32_t frame_begin = span.begin;
      for (std::uint32_t i = span.entry_begin; i < span.entry_end && frame_begin < end; ++i) {
        const log_entry& entry = span.chunk->entry(i);
        if (!entry.author_hears && entry.author == author && entry.end > begin) {
          if (frame_begin > begin) piece(begin, frame_begin);
          begin = entry.end;
        }
        frame_begin = entry.end;
      }
    }
    if (begin < end) piece(begin, end);
  }
}

// Hands a laggard's next pieces to take(log_piece) until is_full() says so; its cursor moves along.
template <class Full, class Take>
void take_pieces(const room_part& r, lag& l, std::uint64_t author, Full&& is_full, Take&& take) {
  l.flying = 0;
  const std::uint64_t to = std::min(r.flushed, l.stop);
  bool full = false;
  for_each_piece(r, l.cursor, to, author, [&](const log_piece& piece) {
    full = full || is_full();
    if (full) return;
    take(piece);
    l.flying += piece.size();
    l.cursor = piece.position + piece.size();
  });
  // Frames at the end that this member does not hear are behind it, too.
  if (!full && l.cursor < to) l.cursor = to;
}

// The position where the last frame of the window begins; `end` if the window is empty.
[[nodiscard]] std::uint64_t last_frame_begin(const room_part& r);

// The position at the end of the frame that holds the byte at `position`; `position` itself if a frame begins there.
[[nodiscard]] std::uint64_t frame_end_at_or_after(const room_part& r, std::uint64_t position);

// The sequence number of the frame that begins at `position` or is the first behind it.
[[nodiscard]] std::uint64_t sequence_at(const room_part& r, std::uint64_t position);

} // namespace ringcast
