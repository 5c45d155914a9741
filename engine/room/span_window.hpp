// The part of a room's log that somebody on this shard still needs: published spans without holes between them, oldest first. Spans that lie
// one behind the other in a chunk are one, so the window grows with the chunks and not with the turns that wrote them.
//
// Positions count the bytes of the log as this shard has received it. They only grow; frames begin and end at positions. One thread; the
// window holds one reference for each of its spans.
#pragma once

#include "engine/room/room_log.hpp"
#include "proto/held_bytes.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ringcast::engine {

struct window_span : log_span {
  std::uint64_t position = 0; // of its first byte
  [[nodiscard]] std::uint64_t position_end() const { return position + bytes(); }
  [[nodiscard]] std::uint64_t sequence_end() const { return first_sequence + frames(); }
  // Where the frame of an entry begins, as an offset in the chunk.
  [[nodiscard]] std::uint32_t frame_begin(std::uint32_t entry) const { return entry == entry_begin ? begin : chunk->entry(entry - 1).end; }
  // The first entry whose frame ends behind `offset`; entry_end if none does.
  [[nodiscard]] std::uint32_t entry_behind(std::uint32_t offset) const;
};

// A run of bytes that one member is to be sent.
struct log_piece {
  log_chunk* chunk;
  std::uint32_t begin, end;
  std::uint64_t position; // of its first byte

  [[nodiscard]] std::byte* bytes() const { return chunk->data() + begin; }
  [[nodiscard]] std::uint32_t size() const { return end - begin; }
};

class span_window {
 public:
  span_window() = default;
  // Its first byte will have this position, and its first frame this sequence number.
  span_window(std::uint64_t position, std::uint64_t sequence) : end_(position), next_sequence_(sequence) {}
  span_window(const span_window&) = delete;
  span_window& operator=(const span_window&) = delete;
  ~span_window() { clear(); }

  [[nodiscard]] bool empty() const { return first_ == spans_.size(); }
  [[nodiscard]] std::size_t size() const { return spans_.size() - first_; }
  // The position and the sequence number behind the last frame.
  [[nodiscard]] std::uint64_t end() const { return end_; }
  [[nodiscard]] std::uint64_t next_sequence() const { return next_sequence_; }

  // So many more spans need no memory: append() throws nothing for them.
  void reserve(std::size_t more) { spans_.reserve(spans_.size() + more); }
  // Takes over the caller's reference. Answers the position of the span's first byte.
  std::uint64_t append(const log_span& published);
  // Lets go of the spans that end at or before the position.
  void drop_before(std::uint64_t position);
  // Adds what `from` has from our end to a position that lies between two frames.
  void extend(const span_window& from, std::uint64_t end);
  // While it is empty: the next frame will have this sequence number.
  void expect(std::uint64_t sequence) {
    if (empty()) next_sequence_ = sequence;
  }
  void clear();

  // The sequence number of the frame that begins at `position` or is the first behind it.
  [[nodiscard]] std::uint64_t sequence_at(std::uint64_t position) const;
  // The position at the end of the frame that holds the byte at `position`; `position` itself if a frame begins there.
  [[nodiscard]] std::uint64_t frame_end_at_or_after(std::uint64_t position) const;
  // The position where the last frame begins; the end if there is none.
  [[nodiscard]] std::uint64_t last_frame_begin() const;
  // Where the first frame begins from which all to the end costs at most so much (log_cost).
  [[nodiscard]] std::uint64_t begin_of_last(std::uint64_t cost) const;
  // What is between the position, where a frame begins that has this sequence number, and the end.
  [[nodiscard]] std::uint64_t cost_behind(std::uint64_t position, std::uint64_t sequence) const {
    return log_cost(end_ - position, next_sequence_ - sequence);
  }

  // Calls visit(log_piece) for the bytes from one position to another, without the frames that `author` is not to hear.
  // Neighbouring frames make one piece. Stops when visit answers false.
  template <class Visit> void for_each_piece(std::uint64_t from, std::uint64_t to, std::uint64_t author, Visit&& visit) const;
  // Calls visit(entry, begin, end) with the positions of each frame from one position to another.
  template <class Visit> void for_each_frame(std::uint64_t from, std::uint64_t to, Visit&& visit) const;

  // The bytes of the log that it keeps.
  [[nodiscard]] std::size_t bytes() const { return held_.bytes(); }
  // The chunks that are kept for a reader which goes on at the position.
  [[nodiscard]] std::uint64_t chunk_bytes_behind(std::uint64_t position) const {
    std::uint64_t sum = 0;
    for (const window_span* span = span_behind(position); span != spans_end(); ++span) sum += span->chunk->capacity;
    return sum;
  }

  // Every span that was ever walked over: what a turn costs must not depend on how many there are.
  [[nodiscard]] std::uint64_t spans_visited() const { return visited_; }

 private:
  // The first span that ends behind the position; spans_.end() if there is none.
  [[nodiscard]] const window_span* span_behind(std::uint64_t position) const {
    return std::partition_point(spans_.data() + first_, spans_.data() + spans_.size(),
                                [position](const window_span& span) { return span.position_end() <= position; });
  }
  [[nodiscard]] const window_span* spans_end() const { return spans_.data() + spans_.size(); }

  void count_held() { held_.set(empty() ? 0 : static_cast<std::size_t>(end_ - spans_[first_].position)); }

  std::vector<window_span> spans_; // from first_
  held_share held_;
  std::size_t first_ = 0;
  std::uint64_t end_ = 0;
  std::uint64_t next_sequence_ = 1;
  mutable std::uint64_t visited_ = 0;
};

template <class Visit> void span_window::for_each_piece(std::uint64_t from, std::uint64_t to, std::uint64_t author, Visit&& visit) const {
  for (const window_span* at = span_behind(from); at != spans_end() && at->position < to; ++at) {
    const window_span& span = *at;
    ++visited_;
    const auto piece = [&](std::uint32_t begin, std::uint32_t end) {
      return visit(log_piece{span.chunk, begin, end, span.position + (begin - span.begin)});
    };
    std::uint32_t begin = span.begin + static_cast<std::uint32_t>(from > span.position ? from - span.position : 0);
    const std::uint32_t end = span.end - static_cast<std::uint32_t>(to < span.position_end() ? span.position_end() - to : 0);
    if (span.some_authors_deaf && author != 0) {
      const std::uint32_t first = span.entry_behind(begin);
      std::uint32_t frame_begin = span.frame_begin(first);
      for (std::uint32_t i = first; i < span.entry_end && frame_begin < end; ++i) {
        const log_entry& entry = span.chunk->entry(i);
        if (!entry.author_hears && entry.author == author) {
          if (frame_begin > begin && !piece(begin, frame_begin)) return;
          begin = entry.end;
        }
        frame_begin = entry.end;
      }
    }
    if (begin < end && !piece(begin, end)) return;
  }
}

template <class Visit> void span_window::for_each_frame(std::uint64_t from, std::uint64_t to, Visit&& visit) const {
  for (const window_span* at = span_behind(from); at != spans_end() && at->position < to; ++at) {
    const window_span& span = *at;
    ++visited_;
    const std::uint32_t first =
        from > span.position ? span.entry_behind(span.begin + static_cast<std::uint32_t>(from - span.position)) : span.entry_begin;
    std::uint64_t begin = span.position + (span.frame_begin(first) - span.begin);
    for (std::uint32_t i = first; i < span.entry_end && begin < to; ++i) {
      const log_entry& entry = span.chunk->entry(i);
      const std::uint64_t end = span.position + (entry.end - span.begin);
      visit(entry, begin, end);
      begin = end;
    }
  }
}

} // namespace ringcast::engine
