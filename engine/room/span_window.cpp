#include "engine/room/span_window.hpp"

#include <ringcast/detail/assert.hpp>

namespace ringcast::engine {

std::uint32_t window_span::entry_behind(std::uint32_t offset) const {
  std::uint32_t low = entry_begin;
  std::uint32_t high = entry_end;
  while (low < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    if (chunk->entry(middle).end > offset)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

std::uint64_t span_window::append(const log_span& published) {
  const std::uint64_t position = end_;
  end_ += published.bytes();
  next_sequence_ = published.first_sequence + published.frames();
  if (!empty()) {
    window_span& last = spans_.back();
    if (last.chunk == published.chunk && last.end == published.begin && last.sequence_end() == published.first_sequence) {
      last.end = published.end;
      last.entry_end = published.entry_end;
      last.some_authors_deaf |= published.some_authors_deaf;
      published.chunk->release(); // the last span holds it already
      count_held();
      return position;
    }
  }
  window_span span;
  static_cast<log_span&>(span) = published;
  span.position = position;
  spans_.push_back(span);
  count_held();
  return position;
}

void span_window::drop_before(std::uint64_t position) {
  while (!empty() && spans_[first_].position_end() <= position) {
    ++visited_;
    spans_[first_].chunk->release();
    ++first_;
  }
  count_held();
  // What was dropped is moved over only when it is at least half, so that a long window costs a constant time a span.
  if (first_ == 0 || first_ * 2 < spans_.size()) return;
  constexpr std::size_t kept_max = 1024; // what a slow member made it grow to is given back
  spans_.erase(spans_.begin(), spans_.begin() + static_cast<std::ptrdiff_t>(first_));
  first_ = 0;
  if (spans_.empty() && spans_.capacity() > kept_max) spans_ = {};
}

void span_window::clear() {
  for (std::size_t i = first_; i < spans_.size(); ++i) spans_[i].chunk->release();
  spans_.clear();
  first_ = 0;
  count_held();
}

void span_window::extend(const span_window& from, std::uint64_t end) {
  for (const window_span* at = from.span_behind(end_); at != from.spans_end() && at->position < end; ++at) {
    window_span span = *at;
    if (end < span.position_end()) {
      span.entry_end = span.entry_behind(span.begin + static_cast<std::uint32_t>(end - span.position) - 1) + 1;
      span.end = span.begin + static_cast<std::uint32_t>(end - span.position);
    }
    if (span.position < end_) {
      const std::uint32_t begin = span.begin + static_cast<std::uint32_t>(end_ - span.position);
      const std::uint32_t entry = span.entry_behind(begin);
      span.first_sequence += entry - span.entry_begin;
      span.entry_begin = entry;
      span.begin = begin;
    }
    span.chunk->hold();
    append(span);
  }
}

std::uint64_t span_window::sequence_at(std::uint64_t position) const {
  const window_span* span = span_behind(position);
  if (span == spans_end()) return next_sequence_;
  if (position <= span->position) return span->first_sequence;
  const auto offset = static_cast<std::uint32_t>(position - span->position) + span->begin;
  const std::uint32_t entry = span->entry_behind(offset);
  return span->first_sequence + (entry - span->entry_begin) + (span->frame_begin(entry) < offset ? 1 : 0);
}

std::uint64_t span_window::frame_end_at_or_after(std::uint64_t position) const {
  const window_span* span = span_behind(position);
  if (span == spans_end() || position <= span->position) return position;
  const auto offset = static_cast<std::uint32_t>(position - span->position) + span->begin;
  const std::uint32_t entry = span->entry_behind(offset);
  if (span->frame_begin(entry) == offset) return position;
  return span->position + (span->chunk->entry(entry).end - span->begin);
}

std::uint64_t span_window::last_frame_begin() const {
  if (empty()) return end_;
  const window_span& span = spans_.back();
  return span.position + (span.frame_begin(span.entry_end - 1) - span.begin);
}

std::uint64_t span_window::begin_of_last(std::uint64_t cost) const {
  if (empty()) return end_;
  // The last span from whose beginning it costs more; the frame is in it, or begins the next one.
  const window_span* const begin = spans_.data() + first_;
  const window_span* span =
      std::partition_point(begin, spans_end(), [&](const window_span& s) { return cost_behind(s.position, s.first_sequence) > cost; });
  if (span == begin) return span->position;
  --span;
  std::uint32_t low = span->entry_begin + 1;
  std::uint32_t high = span->entry_end;
  while (low < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    if (cost_behind(span->position + (span->frame_begin(middle) - span->begin), span->first_sequence + (middle - span->entry_begin)) <= cost)
      high = middle;
    else
      low = middle + 1;
  }
  if (low == span->entry_end) return span->position_end();
  return span->position + (span->frame_begin(low) - span->begin);
}

} // namespace ringcast::engine
