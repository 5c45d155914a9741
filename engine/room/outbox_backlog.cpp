// The part of the outbox for connections that did not take all of their output at once.
#include "engine/base/limits.hpp"
#include "engine/connection/user_events.hpp"
#include "engine/room/outbox.hpp"
#include "engine/room/room_table.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace ringcast::engine {

namespace {

// A send that was tried once answers with what TCP took, or with an error that only says "nothing".
bool took_nothing(std::int32_t result) { return result == -EAGAIN || result == -EINTR || result == -ENOBUFS || result == -ENOMEM; }

} // namespace

std::byte* outbox::grow(byte_queue& queue, std::size_t bytes) {
  const std::size_t needed = std::size_t{queue.size} + bytes;
  if (needed > queue.memory.capacity) {
    const block larger = blocks_.take(std::max<std::size_t>(needed, std::size_t{queue.memory.capacity} * 2));
    if (queue.size > 0) std::memcpy(larger.bytes, queue.memory.bytes, queue.size);
    blocks_.give_back(queue.memory);
    queue.memory = larger;
  }
  std::byte* out = queue.memory.bytes + queue.size;
  queue.size = static_cast<std::uint32_t>(needed);
  return out;
}

void outbox::append(byte_queue& queue, std::span<const std::byte> bytes) {
  if (!bytes.empty()) std::memcpy(grow(queue, bytes.size()), bytes.data(), bytes.size());
}

template <class Work> void outbox::queue_or_end(connection& c, Work&& work) {
  try {
    work();
  } catch (const std::bad_alloc&) {
    host_.on_output_refused(c);
  }
}

// From here on the connection's output queues, and it is a laggard in each of its rooms.
backlog& outbox::start_backlog(connection& c) {
  RINGCAST_ASSERT(c.behind == nullptr);
  c.behind = new backlog;
  for (membership* seat = served_seats(c); seat != nullptr; seat = seat->next) rooms_.fall_behind(c, *seat, seat->where->flushed);
  return *c.behind;
}

// What the connection was given in this turn goes into the backlog, too.
void outbox::begin_backlog(connection& c) {
  if (c.behind != nullptr) return;
  const std::uint32_t index = c.gather;
  backlog& b = start_backlog(c);
  going_on_.push_back(&c);
  if (index == none) return;
  for (std::uint32_t i = now_->gatherings[index].first_segment; i != none; i = now_->segments[i].next)
    append(b.queued, {now_->segments[i].bytes, now_->segments[i].size});
  c.gather = none;
}

// What a room said in this turn is more than one send can carry. The member takes it part by part, which is no fault of its own.
void outbox::fall_behind_excused(connection& c, membership& seat) {
  const room_part& r = *seat.where;
  lag& l = rooms_.fall_behind(c, seat, r.flushed_before);
  l.excused = r.flushed;
  l.excused_sequence = r.window.sequence_at(r.flushed);
}

void outbox::serve_in_parts(room_part& r) {
  // From the end, since each of them leaves the list. Those that are gathered are looked at by themselves.
  for (std::size_t i = r.keeping_up.size(); i-- > 0;) {
    const keeping_up_member member = r.keeping_up[i];
    connection& c = host_.connections().at(member.slot);
    if (member.gathered) {
      gathering_of(c);
      continue;
    }
    start_backlog(c);
    fall_behind_excused(c, *c.memberships);
    going_on_.push_back(&c);
  }
}

void outbox::serve_in_parts(connection& c, const gathering& gathered) {
  backlog& b = start_backlog(c);
  for (std::uint32_t i = gathered.first_segment; i != none; i = now_->segments[i].next)
    append(b.queued, {now_->segments[i].bytes, now_->segments[i].size});
  for (membership* seat = c.memberships; seat != nullptr; seat = seat->next)
    if (seat->where->dirty) fall_behind_excused(c, *seat);
  going_on_.push_back(&c);
}

void outbox::on_member_send_failed(op_tag tag, std::int32_t result) {
  connection& c = host_.connections().at(tag.slot);
  if (c.phase == connection_phase::ending || c.phase == connection_phase::free) return;
  if (c.memberships != nullptr) {
    const room_part& r = *c.memberships->where;
    counters_.bytes_sent -= r.flushed - r.flushed_before - static_cast<std::uint32_t>(std::max(result, 0));
  }
  if (result < 0 && !took_nothing(result)) {
    host_.on_output_failed(c);
    return;
  }
  ++counters_.sends_short;
  // Nothing of this connection was handled since the flush: it sits where it sat, and has written nothing.
  RINGCAST_ASSERT(c.memberships != nullptr && c.gather == none);
  membership& seat = *c.memberships;
  queue_or_end(c, [&] {
    start_backlog(c);
    fall_behind_at(c, seat, seat.where->flushed_before + static_cast<std::uint32_t>(std::max(result, 0)));
    pump(c);
  });
}

// The member has been sent everything before `position`. If that is within a frame, the frame's rest is copied in front of all other
// output, so that a cursor always stands between two frames.
void outbox::fall_behind_at(connection& c, membership& seat, std::uint64_t position) {
  const room_part& r = *seat.where;
  const std::uint64_t frame_end = r.window.frame_end_at_or_after(position);
  r.window.for_each_piece(position, frame_end, 0, [&](const log_piece& piece) {
    append(c.behind->queued, {piece.bytes(), piece.size()});
    return true;
  });
  rooms_.fall_behind(c, seat, frame_end);
}

void outbox::on_inline_send_failed(op_tag tag, std::int32_t result) {
  const gathering gathered = before_->gatherings[tag.generation];
  counters_.bytes_sent -= gathered.sent_bytes - static_cast<std::uint32_t>(std::max(result, 0));
  connection* c = host_.connections().find(gathered.slot, gathered.generation);
  if (c != nullptr && c->is_client) note_untaken(*c, gathered, static_cast<std::uint32_t>(std::max(result, 0)));
  if (c == nullptr || c->phase == connection_phase::ending) return;
  if (result < 0 && !took_nothing(result)) {
    host_.on_output_failed(*c);
    return;
  }
  ++counters_.sends_short;
  RINGCAST_ASSERT(c->gather == none);
  const std::uint64_t taken = static_cast<std::uint32_t>(std::max(result, 0));
  queue_or_end(*c, [&] {
    if (c->encrypted)
      on_encrypted_send_short(*c, gathered, taken);
    else
      on_plain_send_short(*c, gathered, taken);
  });
}

// The flush has counted all of it. How much of what was taken is whole records is not known.
void outbox::note_untaken(const connection& c, const gathering& gathered, std::uint64_t taken) {
  taken_[c.slot] -= c.encrypted ? gathered.own_bytes : gathered.own_bytes - std::min(taken, gathered.own_bytes);
}

void outbox::note_taken(const connection& c, backlog& b, std::uint64_t taken, bool whole) {
  if (!c.encrypted)
    taken_[c.slot] += std::min<std::uint64_t>(taken, b.own_flying);
  else if (whole)
    taken_[c.slot] += std::exchange(b.flying_plain_bytes, 0);
}

void outbox::on_plain_send_short(connection& c, const gathering& gathered, std::uint64_t sent) {
  backlog& b = start_backlog(c);
  // Walks over what was to be sent, in the order of flush_gathering.
  const auto skip = [&sent](std::uint64_t bytes) {
    const std::uint64_t skipped = std::min(sent, bytes);
    sent -= skipped;
    return skipped;
  };
  struct kept_queue : byte_queue {
    block_pool& blocks;
    explicit kept_queue(block_pool& b) : blocks(b) {}
    ~kept_queue() { blocks.give_back(memory); }
  } own{blocks_}; // what the connection wrote itself; it goes behind the rest of a frame that was cut
  for (std::uint32_t i = gathered.first_segment; i != none; i = before_->segments[i].next) {
    const segment& s = before_->segments[i];
    const std::uint64_t skipped = skip(s.size);
    append(own, {s.bytes + skipped, s.size - skipped});
  }
  for (membership* seat = c.memberships; seat != nullptr; seat = seat->next) {
    const room_part& r = *seat->where;
    if (r.flushed == r.flushed_before) continue;
    std::uint64_t reached = r.flushed_before;
    bool cut = false;
    r.window.for_each_piece(r.flushed_before, r.flushed, host_.handle_of(c).value, [&](const log_piece& piece) {
      const std::uint64_t skipped = skip(piece.size());
      reached = piece.position + skipped;
      cut = skipped < piece.size();
      return !cut;
    });
    if (cut)
      fall_behind_at(c, *seat, reached);
    else
      rooms_.fall_behind(c, *seat, r.flushed);
  }
  if (own.size > 0) append(b.queued, {own.memory.bytes, own.size});
  pump(c);
}

// Gives the kernel the next part of the backlog: own output first, then the rooms. Without any left the connection keeps up again.
void outbox::pump(connection& c) {
  backlog& b = *c.behind;
  if (b.in_flight || is_untold(c, user_event::gap)) return;
  // A member hears what the policy took from it before it hears what comes after the gap.
  for (membership* seat = served_seats(c); seat != nullptr; seat = seat->next) {
    lag& l = *seat->behind;
    if (l.stop == lag::no_stop && l.replay_end != 0 && l.cursor >= l.replay_end) {
      l.end_replay();
      l.sequence = seat->where->window.sequence_at(l.cursor);
    }
    if (l.stop != lag::no_stop) {
      if (l.cursor < l.stop) continue;
      l.stop = lag::no_stop;
      l.replay_end = 0;
      l.held.reset();
      l.cursor = seat->where->flushed;
      l.sequence = seat->where->window.sequence_at(l.cursor);
    }
    if (l.gap_end == 0 && l.anew.epoch == 0) continue;
    // go_on() comes back. What the policy takes from now on is another gap.
    b.gap_first = l.gap_from;
    b.anew = std::exchange(l.anew, {});
    b.gap_last = b.anew.epoch != 0 ? 0 : l.gap_end - 1;
    l.gap_end = 0;
    return host_.tell_gap(c);
  }
  std::uint32_t count = 0;
  b.flying_bytes = 0;
  if (c.encrypted) {
    collect_encrypted(c);
    if (b.flying_bytes > 0) b.pieces[count++] = {b.flying.memory.bytes, b.flying.size};
  } else {
    count = collect_plain(c);
  }
  for (membership* seat = c.memberships; seat != nullptr; seat = seat->next) rooms_.went_on(*seat->where);
  if (count == 0) {
    // A stopped member may hear nothing of what was left before its stop; it is there now, and goes on behind the gap.
    for (membership* seat = served_seats(c); seat != nullptr; seat = seat->next)
      if (seat->behind->held != nullptr && seat->behind->cursor >= seat->behind->sent_until(UINT64_MAX)) return pump(c);
    dissolve(c);
    return;
  }
  b.message = {};
  b.message.msg_iov = b.pieces.data();
  b.message.msg_iovlen = count;
  b.in_flight = true;
  ++c.operations;
  ++counters_.backlog_sends;
  ring_.arm_send({operation::send, c.generation, c.slot}, c.socket, &b.message);
}

std::optional<outbox::told_gap> outbox::take_gap(connection& c) {
  if (c.behind == nullptr || (c.behind->gap_last == 0 && c.behind->anew.epoch == 0)) return std::nullopt;
  ++counters_.gaps;
  const std::uint64_t last = std::exchange(c.behind->gap_last, 0);
  return told_gap{last == 0 ? 0 : c.behind->gap_first, last, std::exchange(c.behind->anew, {})};
}

void outbox::go_on(connection& c) {
  if (c.behind != nullptr) going_on_.push_back(&c);
}

// At the end of the flush: where a member's gap or stop lies is only then a position that the others have been sent, too. And behind all inline
// sends, so that what these fail with is known first. The slots are not given to others before the next turn.
void outbox::go_on_with_backlogs() {
  for (connection* c : going_on_) {
    if (c->behind == nullptr || c->phase == connection_phase::ending) continue;
    pump(*c);
    if (c->behind == nullptr && c->phase == connection_phase::finishing) host_.on_output_progress(*c);
  }
  going_on_.clear();
}

outbox::waiting outbox::all_waiting(const connection& c) const {
  waiting sum{waiting_bytes(c)};
  if (c.behind == nullptr) return sum;
  if (c.behind->in_flight) sum.bytes += c.behind->flying_bytes - std::min<std::uint64_t>(c.behind->flying_bytes, c.behind->own_flying);
  for (const membership* seat = c.memberships; seat != nullptr; seat = seat->next) {
    const member_progress at = progress_of(*seat);
    sum.bytes += at.bytes_behind;
    sum.messages += at.messages_behind;
  }
  return sum;
}

// What the next send carries: own output, then the rooms. Returns the number of pieces.
std::uint32_t outbox::collect_plain(connection& c) {
  backlog& b = *c.behind;
  std::uint32_t count = 0;
  if (b.queued.size > 0) {
    std::swap(b.flying, b.queued);
    b.pieces[count++] = {b.flying.memory.bytes, b.flying.size};
    b.flying_bytes += b.flying.size;
    b.own_flying = b.flying.size;
  }
  const auto is_full = [&] { return count == backlog::pieces_max || b.flying_bytes >= backlog_send_bytes_max; };
  for (membership* seat = served_seats(c); seat != nullptr; seat = seat->next)
    take_pieces(*seat->where, *seat->behind, host_.handle_of(c).value, is_full, [&](const log_piece& piece) {
      piece.chunk->references.fetch_add(1, std::memory_order_relaxed);
      b.pinned[b.pinned_count++] = piece.chunk;
      b.pieces[count++] = {piece.bytes(), piece.size()};
      b.flying_bytes += piece.size();
    });
  drop_taken(c);
  return count;
}

// The pieces that were collected have references of their own, or were copied.
void outbox::drop_taken(connection& c) {
  for (membership* seat = served_seats(c); seat != nullptr; seat = seat->next)
    if (lag& l = *seat->behind; l.held != nullptr) l.held->drop_before(l.cursor);
}

void outbox::unpin(backlog& b) {
  for (std::uint32_t i = 0; i < b.pinned_count; ++i) b.pinned[i]->release();
  b.pinned_count = 0;
}

// The kernel has taken the first `bytes` of a send that goes on.
void outbox::send_rest(connection& c, std::uint64_t bytes) {
  backlog& b = *c.behind;
  b.flying_bytes -= bytes;
  b.own_flying -= static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes, b.own_flying));
  while (bytes >= b.message.msg_iov->iov_len) {
    bytes -= b.message.msg_iov->iov_len;
    ++b.message.msg_iov;
    --b.message.msg_iovlen;
  }
  b.message.msg_iov->iov_base = static_cast<std::byte*>(b.message.msg_iov->iov_base) + bytes;
  b.message.msg_iov->iov_len -= bytes;
  b.in_flight = true;
  ++c.operations;
  ++counters_.backlog_sends;
  ring_.arm_send({operation::send, c.generation, c.slot}, c.socket, &b.message);
}

void outbox::on_send(connection& c, std::int32_t result) {
  backlog& b = *c.behind;
  --c.operations;
  b.in_flight = false;
  counters_.bytes_sent += static_cast<std::uint32_t>(std::max(result, 0));
  // In spite of MSG_WAITALL a send gives up with what it has when it was woken 128 times (APOLL_MAX_RETRY, io_uring/poll.h), which
  // TCP_NOTSENT_LOWAT makes a matter of a dozen megabytes. If the connection has failed, the next send says so.
  const bool whole = result >= 0 && static_cast<std::uint64_t>(result) == b.flying_bytes;
  if (c.is_client) note_taken(c, b, static_cast<std::uint32_t>(std::max(result, 0)), whole);
  if (!whole && c.phase != connection_phase::ending && (result > 0 || result == -EAGAIN)) {
    send_rest(c, static_cast<std::uint32_t>(std::max(result, 0)));
    if (result > 0) host_.on_output_progress(c);
    return;
  }
  unpin(b);
  b.flying.size = 0;
  b.own_flying = 0;
  if (c.phase == connection_phase::ending) {
    dissolve(c);
    host_.release_if_done(c);
    return;
  }
  if (!whole) {
    host_.on_output_failed(c);
    return;
  }
  queue_or_end(c, [&] { pump(c); });
  host_.on_output_progress(c);
}

// Nothing waits any more: the connection keeps up again, or it ends and drops what waits.
void outbox::dissolve(connection& c) {
  backlog& b = *c.behind;
  if (c.phase != connection_phase::ending) {
    for (membership* seat = served_seats(c); seat != nullptr; seat = seat->next) rooms_.catch_up(c, *seat);
  }
  blocks_.give_back(b.queued.memory);
  blocks_.give_back(b.flying.memory);
  delete c.behind;
  c.behind = nullptr;
}

} // namespace ringcast::engine
