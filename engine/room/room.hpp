// One shard's part of a room: the members that are connected to this shard, and the window of the room's log that some of them still need.
// The log itself, its sequence numbers and the names of the members live on the room's home shard (room_home).
#pragma once

#include "engine/connection/connection.hpp"
#include "engine/room/room_log.hpp"
#include "engine/room/room_rulebook.hpp"
#include "engine/room/span_window.hpp"
#include <ringcast/broadcast.hpp>
#include <ringcast/position.hpp>
#include <ringcast/rooms.hpp>
#include <ringcast/server_limits.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ringcast::engine {

struct room_part;

// Who keeps up: all that a fan-out touches of a member.
struct keeping_up_member {
  int socket;
  std::uint32_t slot : 31;
  std::uint32_t gathered : 1; // served together with other output of its connection, not from here
};
static_assert(sizeof(keeping_up_member) == 8);

// The answers to room_query, joined.
struct room_listing {
  bool found = false;
  std::uint32_t members = 0;
  std::uint32_t user_count = 0;      // of a single room
  std::vector<room_user> users{};    // of a single room: as many as fit into a record
  std::vector<std::string> names{};  // of a single room: its members', as many as fit into a record
  std::vector<room_summary> rooms{}; // of all rooms
  std::optional<std::string> next{}; // of all rooms: there are more, behind this one
};

// What is known of a member only while it is behind. It belongs to the membership.
struct lag {
  connection* who = nullptr;
  std::uint64_t cursor = 0;      // position of the next frame to send; what is in flight lies before it
  std::uint64_t sequence = 0;    // of that frame
  std::uint64_t stop = no_stop;  // drop_newest: the position behind the last frame that it will be sent
  std::unique_ptr<span_window> held; // what it still needs before its stop, or of what was said before it came
  std::uint64_t replay_end = 0;      // until it is there it is sent what was said before it came, and goes on in the room's window then
  // Up to here it is behind because a turn was more than one send can carry, and not because it is slow: the policy does not count that.
  std::uint64_t excused = 0;
  std::uint64_t excused_sequence = 0;
  std::uint64_t flying = 0;      // what its send in flight has of this room (log_cost)
  std::uint32_t index = 0;       // in room_part::laggards
  // The messages that the policy took from it and that it has not been told about: sequence numbers from `gap_from` to before `gap_end`.
  std::uint64_t gap_from = 0;
  std::uint64_t gap_end = 0;

  // What comes next is of another epoch, and behind this position; epoch 0: it is not. Not told yet, in place of a gap.
  room_position anew{};

  void lose(std::uint64_t from, std::uint64_t end) {
    if (gap_end == 0) gap_from = from;
    gap_end = end;
  }

  // Where it next leaves what it holds by itself. Positions in front of replay_end are not positions of the room's window.
  [[nodiscard]] std::uint64_t sent_until(std::uint64_t flushed) const {
    if (stop == no_stop) return replay_end != 0 ? replay_end : flushed;
    return std::max(std::min(flushed, stop), replay_end);
  }
  // From where on it needs the room's window.
  [[nodiscard]] std::uint64_t needed_from() const {
    if (held == nullptr) return cursor;
    return stop == no_stop ? replay_end : UINT64_MAX;
  }
  // It goes on in the room's window.
  void end_replay() {
    if (replay_end == 0) return;
    replay_end = 0;
    held.reset();
  }

  static constexpr std::uint64_t no_stop = UINT64_MAX;
};

// What few seats have.
struct seat_details {
  std::string name{}; // under which it joined; empty: under none
  std::string user{}; // as whom; empty: as nobody
  bool user_told = false; // to the home
  std::optional<joined_position> joined{}; // where it joined, if it asked for that
};

// A seat in a room. A member that keeps up is an entry in the room's dense array; one that fell behind has a lag.
struct membership {
  room_part* where = nullptr;
  membership* next = nullptr; // of the same connection
  lag* behind = nullptr;
  std::uint32_t index = 0;    // in room_part::keeping_up
  hearing hears = hearing::everyone;
  bool watches = false; // it is told which users come and go
  std::unique_ptr<seat_details> details; // null: it has none
  // Of room_part::messages, those in front of the first one that it heard, and those that it did not or will not hear: what it was sent is the rest.
  std::uint64_t unheard = 0;

  [[nodiscard]] bool has_name() const { return details != nullptr && !details->name.empty(); }
  seat_details& need_details() {
    if (details == nullptr) details = std::make_unique<seat_details>();
    return *details;
  }
};

// One shard's part of a room; what programs hold is the `room` of ringcast/room.hpp.
struct room_part {
  std::string name;
  std::uint32_t index = 0; // of the shard's room_table
  std::uint32_t generation = 0;
  std::uint32_t home_shard = 0;
  const rules_of_room* rules = nullptr; // of the shard's book
  room_encoding encoding = room_encoding::plain; // of all its members; a shard may have one part of a room for each encoding

  std::uint64_t messages = 0; // that have come here
  std::vector<keeping_up_member> keeping_up;
  std::vector<membership*> laggards; // their lag::index is their place here

  // Not from 0 on: what was said before has positions, too.
  static constexpr std::uint64_t first_position = std::uint64_t{1} << 40;
  span_window window{first_position, 1};
  std::uint64_t flushed = first_position; // what members that keep up have been sent
  std::uint64_t flushed_before = first_position; // the same one flush earlier: where a send that failed had begun
  bool authors_deaf = false; // somebody does not hear a frame of this turn

  bool dirty = false; // listed for this turn's flush
  bool settling = false; // listed for the settling of the last flush
  bool member_count_changed = false;
  bool listed_empty = false;
  std::uint32_t watchers = 0; // members that are told of users
  std::uint32_t reserved = 0; // seats of those who wait for the home; it counts them as members already
  std::uint32_t first_seats = 0; // how often this part had a seat behind having none
  bool known_at_home = false; // the home has answered since then: whatever is published comes here, too
  broadcast_report last_report; // of the span applied last

  [[nodiscard]] std::uint32_t members() const { return static_cast<std::uint32_t>(keeping_up.size() + laggards.size()); }
  [[nodiscard]] std::uint32_t seats() const { return members() + reserved; }
};

// Where a member is in what its room has said here.
struct member_progress {
  std::uint64_t messages_sent;
  std::uint64_t messages_behind = 0; // that no send has begun with
  std::uint64_t bytes_behind = 0;
};
[[nodiscard]] inline member_progress progress_of(const membership& seat) {
  const room_part& r = *seat.where;
  member_progress at{.messages_sent = 0};
  if (const lag* const l = seat.behind) {
    const bool stops = l->stop != lag::no_stop;
    const std::uint64_t end = stops ? l->held->end() : r.window.end();
    at.bytes_behind = end - std::min(end, l->cursor);
    at.messages_behind = (stops ? l->held->next_sequence() : r.window.next_sequence()) - l->sequence;
  }
  // Its own message may be on its way to the home and back, and count as unheard before it has come.
  const auto heard = static_cast<std::int64_t>(r.messages - seat.unheard - at.messages_behind);
  at.messages_sent = static_cast<std::uint64_t>(std::max<std::int64_t>(heard, 0));
  return at;
}

// Hands a laggard's next pieces to take(log_piece) until is_full() says so; its cursor moves along. What they lie in is there until drop_taken(),
// or longer if somebody takes a reference: chunks of another shard's rooms are freed by its thread.
template <class Full, class Take> void take_pieces(const room_part& r, lag& l, std::uint64_t author, Full&& is_full, Take&& take) {
  l.flying = 0;
  const span_window& window = l.held != nullptr ? *l.held : r.window;
  const std::uint64_t to = l.sent_until(r.flushed);
  if (l.cursor >= to) return;
  const bool excused = l.cursor < l.excused;
  std::uint64_t bytes = 0;
  bool full = false;
  window.for_each_piece(l.cursor, to, author, [&](const log_piece& piece) {
    full = is_full();
    if (full) return false;
    take(piece);
    bytes += piece.size();
    l.cursor = piece.position + piece.size();
    return true;
  });
  // Frames at the end that this member does not hear are behind it, too.
  if (!full) l.cursor = to;
  const std::uint64_t sequence = window.sequence_at(l.cursor);
  l.flying = excused ? 0 : log_cost(bytes, sequence - l.sequence);
  l.sequence = sequence;
}

} // namespace ringcast::engine
