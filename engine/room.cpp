#include "engine/room.hpp"

#include <algorithm>

namespace ringcast {

namespace {

// The first entry of the span whose frame ends behind `offset`.
std::uint32_t entry_behind(const window_span& span, std::uint32_t offset) {
  std::uint32_t low = span.entry_begin;
  std::uint32_t high = span.entry_end;
  while (low < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    if (span.chunk->entry(middle).end > offset)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

const window_span* span_at(const room_part& r, std::uint64_t position) {
  const auto found = std::partition_point(r.window.begin(), r.window.end(),
                                          [position](const window_span& span) { return span.position_end() <= position; });
  return found == r.window.end() ? nullptr : &*found;
}

} // namespace

std::uint64_t last_frame_begin(const room_part& r) {
  if (r.window.empty()) return r.end;
  const window_span& span = r.window.back();
  if (span.frames() == 1) return span.position;
  return span.position + (span.chunk->entry(span.entry_end - 2).end - span.begin);
}

std::uint64_t frame_end_at_or_after(const room_part& r, std::uint64_t position) {
  const window_span* span = span_at(r, position);
  if (span == nullptr || position <= span->position) return position;
  const auto offset = static_cast<std::uint32_t>(position - span->position) + span->begin;
  const std::uint32_t entry = entry_behind(*span, offset);
  const std::uint32_t frame_begin = entry == span->entry_begin ? span->begin : span->chunk->entry(entry - 1).end;
  if (frame_begin == offset) return position;
  return span->position + (span->chunk->entry(entry).end - span->begin);
}

std::uint64_t sequence_at(const room_part& r, std::uint64_t position) {
  const window_span* span = span_at(r, position);
  if (span == nullptr) return r.next_sequence;
  if (position <= span->position) return span->first_sequence;
  const auto offset = static_cast<std::uint32_t>(position - span->position) + span->begin;
  return span->first_sequence + (entry_behind(*span, offset) - span->entry_begin);
}

} // namespace ringcast
