#include "engine/room/room_history.hpp"

#include <ringcast/detail/assert.hpp>

#include <algorithm>
#include <new>

namespace ringcast::engine {

namespace {

constexpr std::uint64_t mark_interval_ms = 1'000;

} // namespace

kept_span& history_store::take() {
  if (free_.empty()) {
    // Whoever gives one back needs a place for it.
    if (free_.capacity() <= all_.size()) free_.reserve(2 * all_.size() + 8);
    all_.push_back(std::make_unique<kept_span>());
    return *all_.back();
  }
  kept_span& kept = *free_.back();
  free_.pop_back();
  return kept;
}

void history_store::give_back(kept_span& kept) {
  kept.owner = nullptr;
  kept.marks.clear();
  free_.push_back(&kept);
}

void room_history::append(const log_span& published, std::uint64_t now_ms) {
  if (!empty() && published.first_sequence != end_sequence_) clear();
  if (empty()) first_sequence_ = end_sequence_ = published.first_sequence;
  const bool goes_on = last_ != nullptr && last_->span.chunk == published.chunk && last_->span.end == published.begin;
  try {
    if (!goes_on) {
      kept_span& kept = store_.take();
      kept.span = published;
      kept.owner = this;
      published.chunk->hold();
      store_.bytes_ += published.chunk->capacity;
      store_.oldest_first_.append(kept);
      spans_.append(kept);
      last_ = &kept;
    } else {
      last_->span.end = published.end;
      last_->span.entry_end = published.entry_end;
      last_->span.some_authors_deaf |= published.some_authors_deaf;
    }
    end_sequence_ = published.first_sequence + published.frames();
    cost_ += log_cost(published.bytes(), published.frames());
    last_->last_ms = now_ms;
    if (last_->marks.empty() || now_ms >= last_->marks.back().ms + mark_interval_ms) last_->marks.push_back({published.first_sequence, now_ms});
  } catch (const std::bad_alloc&) {
    clear();
  }
}

void room_history::prepend(const std::vector<log_span>& older) {
  for (std::size_t i = older.size(); i-- > 0;) {
    const log_span& span = older[i];
    RINGCAST_ASSERT(empty() || span.first_sequence + span.frames() == first_sequence_);
    kept_span* kept = nullptr;
    try {
      kept = &store_.take();
    } catch (const std::bad_alloc&) {
      for (std::size_t rest = 0; rest <= i; ++rest) older[rest].chunk->release();
      return;
    }
    kept->span = span;
    kept->owner = this;
    kept->last_ms = 0;
    store_.bytes_ += span.chunk->capacity;
    store_.oldest_first_.append(*kept);
    if (empty()) {
      last_ = kept;
      end_sequence_ = span.first_sequence + span.frames();
    }
    spans_.prepend(*kept);
    first_sequence_ = span.first_sequence;
    cost_ += log_cost(span.bytes(), span.frames());
  }
}

void room_history::drop_first() {
  kept_span& kept = spans_.front();
  const log_span& span = kept.span;
  cost_ -= log_cost(span.bytes(), span.frames());
  first_sequence_ = span.first_sequence + span.frames();
  store_.bytes_ -= span.chunk->capacity;
  span.chunk->release();
  static_cast<list_link<spans_of_a_history>&>(kept).unlink();
  static_cast<list_link<spans_of_a_store>&>(kept).unlink();
  store_.give_back(kept);
  if (spans_.empty()) last_ = nullptr;
}

void room_history::clear() {
  while (!empty()) drop_first();
}

void room_history::drop_before(std::uint64_t sequence) {
  while (!empty() && spans_.front().span.first_sequence + spans_.front().span.frames() <= sequence) drop_first();
}

void room_history::drop_old(const history_options& limits, std::uint64_t now_ms) {
  while (!empty()) {
    const kept_span& oldest = spans_.front();
    const log_span& span = oldest.span;
    const bool too_many = limits.messages > 0 && end_sequence_ - (span.first_sequence + span.frames()) >= limits.messages;
    const bool too_large = limits.bytes > 0 && cost_ - log_cost(span.bytes(), span.frames()) >= limits.bytes;
    const bool too_old = limits.seconds > 0 && oldest.last_ms + std::uint64_t{limits.seconds} * 1000 <= now_ms;
    if (!too_many && !too_large && !too_old) return;
    drop_first();
  }
}

std::uint64_t room_history::first_within(const history_options& limits, std::uint64_t now_ms) const {
  std::uint64_t first = first_sequence_;
  if (limits.messages > 0 && end_sequence_ - first > limits.messages) first = end_sequence_ - limits.messages;
  if (limits.seconds == 0) return first;
  const std::uint64_t lasts_ms = std::uint64_t{limits.seconds} * 1000;
  // The marks stand in order. What was said between two of them is as old as the second one at most.
  std::uint64_t young_from = end_sequence_;
  bool found = false;
  spans_.for_each([&](const kept_span& kept) {
    if (found || kept.last_ms + lasts_ms <= now_ms) return;
    for (const kept_span::mark& mark : kept.marks)
      if (!found && mark.ms + lasts_ms + mark_interval_ms > now_ms) {
        young_from = mark.sequence;
        found = true;
      }
  });
  return std::max(first, young_from);
}

log_span room_history::behind(const log_span& all, std::uint32_t frames) {
  log_span rest = all;
  rest.entry_begin += frames;
  rest.first_sequence += frames;
  rest.begin = all.chunk->entry(rest.entry_begin - 1).end;
  return rest;
}

} // namespace ringcast::engine
