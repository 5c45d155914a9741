// What a room keeps of what was said there: spans of its log that were published, oldest first, each with a reference of its chunk. One
// history for each encoding that somebody reads; that of the plain one says when a message goes, and the others are made from it where
// somebody who joins asks for more than they have.
//
// One thread, the room's home. A history_store has the memory of all histories of a shard in the order of their age.
#pragma once

#include "engine/room/room_log.hpp"
#include <ringcast/detail/intrusive_list.hpp>
#include <ringcast/position.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace ringcast::engine {

class room_history;
struct spans_of_a_history;
struct spans_of_a_store;

// What of one chunk is kept.
struct kept_span : list_link<spans_of_a_history>, list_link<spans_of_a_store> {
  log_span span;
  room_history* owner = nullptr;
  // When messages were published: those from a sequence number on at a time or later. A second apart at least.
  struct mark {
    std::uint64_t sequence, ms;
  };
  std::vector<mark> marks;
  std::uint64_t last_ms = 0;
};

class history_store {
 public:
  explicit history_store(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}
  history_store(const history_store&) = delete;
  history_store& operator=(const history_store&) = delete;

  // The chunks that are kept, over all histories.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] std::uint64_t bytes_max() const { return bytes_max_; }
  // Lets go of the oldest chunks until what is left is within the bound. Calls emptied(owner) for each history that has nothing left.
  template <class Emptied> void bound(Emptied&& emptied);

 private:
  friend class room_history;
  [[nodiscard]] kept_span& take(); // may throw std::bad_alloc
  void give_back(kept_span& kept);

  const std::uint64_t bytes_max_;
  std::uint64_t bytes_ = 0;
  intrusive_list<kept_span, spans_of_a_store> oldest_first_;
  std::vector<std::unique_ptr<kept_span>> all_;
  std::vector<kept_span*> free_;
};

struct home_room;

class room_history {
 public:
  room_history(history_store& store, home_room* owner) : store_(store), owner_(owner) {}
  room_history(const room_history&) = delete;
  room_history& operator=(const room_history&) = delete;
  ~room_history() { clear(); }

  // Just published. It takes a reference of its own; where there is no memory for keeping it, all that was kept before goes, so that what is
  // kept never has a hole.
  void append(const log_span& published, std::uint64_t now_ms);
  // In front of what it has: spans of the same messages, oldest first, each with a reference that it takes over.
  void prepend(const std::vector<log_span>& older);

  void drop_before(std::uint64_t sequence); // as far as whole chunks go
  // What is beyond the limits, as far as whole chunks go.
  void drop_old(const history_options& limits, std::uint64_t now_ms);
  void clear();

  [[nodiscard]] bool empty() const { return spans_.empty(); }
  // The number of its oldest message, and one more than that of its newest.
  [[nodiscard]] std::uint64_t first_sequence() const { return first_sequence_; }
  [[nodiscard]] std::uint64_t end_sequence() const { return end_sequence_; }
  // The number of the oldest message that is within the limits to the message and to the second.
  [[nodiscard]] std::uint64_t first_within(const history_options& limits, std::uint64_t now_ms) const;
  // Calls visit(log_span) for what it has from that message on; the first span begins with it.
  template <class Visit> void for_each_span(std::uint64_t from, Visit&& visit) const {
    spans_.for_each([&](const kept_span& kept) {
      const log_span& all = kept.span;
      if (all.first_sequence + all.frames() <= from) return;
      visit(from > all.first_sequence ? behind(all, static_cast<std::uint32_t>(from - all.first_sequence)) : all);
    });
  }

 private:
  friend class history_store;
  void drop_first();
  [[nodiscard]] static log_span behind(const log_span& all, std::uint32_t frames);

  history_store& store_;
  home_room* const owner_;
  intrusive_list<kept_span, spans_of_a_history> spans_;
  kept_span* last_ = nullptr;
  std::uint64_t first_sequence_ = 1, end_sequence_ = 1;
  std::uint64_t cost_ = 0; // log_cost of what is kept
};

template <class Emptied> void history_store::bound(Emptied&& emptied) {
  while (bytes_ > bytes_max_ && !oldest_first_.empty()) {
    room_history& oldest = *oldest_first_.front().owner;
    oldest.drop_first();
    if (oldest.empty()) emptied(oldest.owner_);
  }
}

// What somebody who joins is sent of what was said before: from the home to the shard of the member. It has a reference for each of its spans.
struct replay {
  joined_position joined;
  std::uint64_t first_sequence = 1; // of the first message that it has, or of the next one that will be published
  std::vector<log_span> spans;

  replay() = default;
  replay(const replay&) = delete;
  replay& operator=(const replay&) = delete;
  ~replay() {
    for (const log_span& span : spans) span.chunk->release();
  }
  [[nodiscard]] std::uint64_t bytes() const {
    std::uint64_t sum = 0;
    for (const log_span& span : spans) sum += span.bytes();
    return sum;
  }
};

} // namespace ringcast::engine
