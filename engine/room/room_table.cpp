#include "engine/room/room_table.hpp"

#include "engine/base/log.hpp"
#include "engine/base/log_rate.hpp"
#include "engine/connection/connection_layers.hpp"
#include "engine/io/socket.hpp"
#include <ringcast/detail/assert.hpp>
#include <ringcast/detail/clock.hpp>

#include <algorithm>
#include <new>
#include <string>

namespace ringcast::engine {

room_table::room_table(room_host& host, home_table& home, std::uint32_t shards, std::uint32_t record_bytes_max, const room_rulebook& rules)
    : host_(host), home_(home), shards_(shards), record_bytes_max_(record_bytes_max), rules_(rules) {}

room_table::~room_table() { clear(); }

std::uint32_t room_table::home_of(std::string_view name) const { return room_home_shard(name, shards_); }

std::uint32_t room_home_shard(std::string_view name, std::uint32_t shards) { return static_cast<std::uint32_t>(keyed_hash(name) % shards); }

room_part& room_table::at(std::string_view name, room_encoding encoding) {
  auto& by_name = by_name_[index_of(encoding)];
  if (const auto found = by_name.find(name); found != by_name.end()) return *found->second;
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(rooms_.size()));
    rooms_.push_back(std::make_unique<room_part>());
  }
  const std::uint32_t index = free_.back();
  free_.pop_back();
  const std::uint32_t generation = rooms_[index]->generation + 1;
  rooms_[index] = std::make_unique<room_part>();
  room_part& r = *rooms_[index];
  r.name = name;
  r.index = index;
  r.generation = generation;
  r.home_shard = home_of(name);
  r.encoding = encoding;
  r.rules = &rules_.of(name);
  by_name.emplace(r.name, &r);
  host_.deliver(r.home_shard, record_kind::attach_room, bytes_of(attach_record{{index, generation}, encoding}), std::as_bytes(std::span{name}));
  // Nobody sits in it yet; if that is still so at the end of a later turn, it goes.
  r.listed_empty = true;
  empty_.push_back(&r);
  return r;
}

room_part* room_table::find(room_ref ref) {
  if (ref.index >= rooms_.size()) return nullptr;
  room_part* r = rooms_[ref.index].get();
  return r->generation == ref.generation && !r->name.empty() ? r : nullptr;
}

membership* room_table::seat_of(connection& c, const room_part& r) {
  for (membership* seat = c.memberships; seat != nullptr; seat = seat->next)
    if (seat->where == &r) return seat;
  return nullptr;
}

membership& room_table::join(connection& c, room_part& r, hearing hears) {
  RINGCAST_ASSERT(is_deflating(r.encoding) == is_deflating(host_.encoding_of(c)));
  if (membership* seat = seat_of(c, r)) return *seat;
  // What rooms send moves the peer's window, so nothing from before may be referred to any more (RFC 7692 7.2.1).
  if (c.layers != nullptr && c.layers->deflates != nullptr) c.layers->deflates->reset();
  auto* seat = new membership;
  seat->where = &r;
  seat->hears = hears;
  seat->unheard = r.messages;
  const std::uint32_t before = r.seats();
  seat->next = c.memberships;
  c.memberships = seat;
  // A second room makes every send of this connection a gathered one.
  const bool several = seat->next != nullptr;
  if (several && !c.always_gathered) {
    c.always_gathered = true;
    update_gathered(c);
  }
  if (c.behind != nullptr)
    fall_behind(c, *seat, r.window.end());
  else
    add_to_keeping_up(r, c, *seat);
  members_changed(r, before);
  return *seat;
}

membership& room_table::join(connection& c, room_part& r, hearing hears, replay& heard) {
  if (membership* seat = seat_of(c, r)) return *seat;
  const std::uint64_t next = heard.joined.at.sequence + 1;
  r.window.expect(next);
  membership& seat = join(c, r, hears);
  if (heard.spans.empty()) return seat;
  lag& l = *seat.behind;
  l.held = std::make_unique<span_window>(r.window.end() - heard.bytes(), heard.first_sequence);
  l.cursor = l.held->end();
  l.sequence = heard.first_sequence;
  seat.unheard -= next - heard.first_sequence; // what was said before is heard, too
  l.held->reserve(heard.spans.size());
  for (const log_span& span : heard.spans) l.held->append(span);
  heard.spans.clear(); // the window has taken over their references
  RINGCAST_ASSERT(l.held->end() == r.window.end() && l.held->next_sequence() == next);
  l.replay_end = l.excused = r.window.end();
  l.excused_sequence = next;
  return seat;
}

void room_table::leave(connection& c, room_part& r) {
  membership** link = &c.memberships;
  while (*link != nullptr && (*link)->where != &r) link = &(*link)->next;
  membership* seat = *link;
  if (seat == nullptr) return;
  const std::uint32_t before = r.seats();
  if (seat->behind != nullptr)
    remove_from_laggards(r, *seat);
  else
    remove_from_keeping_up(r, *seat);
  *link = seat->next;
  if (const seat_details* const has = seat->details.get()) {
    const name_record at_home{{r.index, r.generation}, host_.handle_of(c).value};
    if (!has->name.empty()) host_.deliver(r.home_shard, record_kind::release_name, bytes_of(at_home), std::as_bytes(std::span{has->name}));
    if (has->user_told) host_.deliver(r.home_shard, record_kind::user_left, bytes_of(at_home), std::as_bytes(std::span{has->user}));
  }
  if (seat->watches) --r.watchers;
  delete seat;
  members_changed(r, before);
}

void room_table::tell_users(connection& c) {
  for (membership* seat = c.memberships; seat != nullptr; seat = seat->next) {
    seat_details* const has = seat->details.get();
    if (has == nullptr || has->user.empty() || has->user_told || !seat->where->rules->presence) continue;
    has->user_told = true;
    const room_part& r = *seat->where;
    host_.deliver(r.home_shard, record_kind::user_joined, bytes_of(name_record{{r.index, r.generation}, host_.handle_of(c).value}),
                  std::as_bytes(std::span{has->user}));
  }
}

void room_table::list_watchers(room_ref ref, std::vector<connection_handle>& out) {
  const room_part* const r = find(ref);
  if (r == nullptr || r->watchers == 0) return;
  for (const keeping_up_member member : r->keeping_up) {
    connection& c = host_.connections().at(member.slot);
    if (seat_of(c, *r)->watches) out.push_back(host_.handle_of(c));
  }
  for (const membership* seat : r->laggards)
    if (seat->watches) out.push_back(host_.handle_of(*seat->behind->who));
}

void room_table::list_members(const room_part& r, std::vector<connection_handle>& out) {
  for (const keeping_up_member member : r.keeping_up) out.push_back(host_.handle_of(host_.connections().at(member.slot)));
  for (const membership* seat : r.laggards) out.push_back(host_.handle_of(*seat->behind->who));
}

void room_table::leave_all(connection& c) {
  while (c.memberships != nullptr) leave(c, *c.memberships->where);
}

void room_table::add_to_keeping_up(room_part& r, connection& c, membership& seat) {
  seat.index = static_cast<std::uint32_t>(r.keeping_up.size());
  const bool gathered = c.always_gathered || c.gather != connection::no_gather;
  r.keeping_up.push_back({.socket = c.socket, .slot = c.slot & 0x7fff'ffff, .gathered = gathered});
}

void room_table::remove_from_keeping_up(room_part& r, membership& seat) {
  const std::uint32_t index = seat.index;
  if (index + 1 != r.keeping_up.size()) {
    r.keeping_up[index] = r.keeping_up.back();
    seat_of(host_.connections().at(r.keeping_up[index].slot), r)->index = index;
  }
  r.keeping_up.pop_back();
}

void room_table::remove_from_laggards(room_part& r, membership& seat) {
  const std::uint32_t index = seat.behind->index;
  r.laggards[index] = r.laggards.back();
  r.laggards[index]->behind->index = index;
  r.laggards.pop_back();
  delete seat.behind;
  seat.behind = nullptr;
  went_on(r);
}

lag& room_table::fall_behind(connection& c, membership& seat, std::uint64_t cursor) {
  room_part& r = *seat.where;
  if (seat.behind == nullptr) {
    // A membership that is just being made is in neither list yet.
    if (seat.index < r.keeping_up.size() && r.keeping_up[seat.index].slot == c.slot) remove_from_keeping_up(r, seat);
    seat.behind = new lag;
    seat.behind->who = &c;
    seat.behind->index = static_cast<std::uint32_t>(r.laggards.size());
    r.laggards.push_back(&seat);
  }
  seat.behind->cursor = cursor;
  seat.behind->sequence = r.window.sequence_at(cursor);
  return *seat.behind;
}

void room_table::went_on(room_part& r) {
  if (r.settling) return;
  r.settling = true;
  settling_.push_back(&r);
}

void room_table::catch_up(connection& c, membership& seat) {
  room_part& r = *seat.where;
  RINGCAST_ASSERT(seat.behind->cursor >= r.flushed && seat.behind->gap_end == 0 && seat.behind->anew.epoch == 0);
  remove_from_laggards(r, seat);
  add_to_keeping_up(r, c, seat);
}

void room_table::update_gathered(connection& c) {
  for (membership* seat = c.memberships; seat != nullptr; seat = seat->next)
    if (seat->behind == nullptr && seat->index < seat->where->keeping_up.size() && seat->where->keeping_up[seat->index].slot == c.slot)
      seat->where->keeping_up[seat->index].gathered = c.always_gathered || c.gather != connection::no_gather;
}

void room_table::publish(room_part& r, const publish_record& message, std::span<const std::byte> payload) {
  if (r.home_shard == host_.index()) {
    home_.publish(host_.index(), message, payload);
    return;
  }
  if (payload.size() + sizeof message <= record_bytes_max_) {
    host_.deliver(r.home_shard, record_kind::publish, bytes_of(message), payload);
    return;
  }
  auto* copy = new std::byte[payload.size()];
  std::copy(payload.begin(), payload.end(), copy);
  host_.deliver(r.home_shard, record_kind::publish_large, bytes_of(publish_large_record{message, copy, payload.size()}), {});
}

void room_table::apply(const span_record& message) {
  room_part* r = find(message.room);
  if (r == nullptr || r->members() == 0) {
    message.span.chunk->release();
    if (r != nullptr) r->last_report = {};
    return;
  }
  ++counters_.spans_applied;
  const log_span& span = message.span;
  r->messages += span.frames();
  if (span.first_sequence != r->window.next_sequence()) [[unlikely]]
    begin_window(*r, span.first_sequence);
  const std::uint64_t position = r->window.append(span);
  r->authors_deaf |= span.some_authors_deaf != 0;
  if (!r->dirty) {
    r->dirty = true;
    dirty_.push_back(r);
  }
  broadcast_report report{.members = r->members(), .queued = static_cast<std::uint32_t>(r->keeping_up.size())};
  if (!r->laggards.empty()) apply_policy(*r, span, position, report);
  counters_.deliveries += std::uint64_t{span.frames()} * report.queued;
  r->last_report = report;
}

// What was published while nobody sat here has not come here: the members that came meanwhile begin behind it.
void room_table::begin_window(room_part& r, std::uint64_t sequence) {
  r.window.expect(sequence);
  for (membership* seat : r.laggards)
    if (seat->behind->cursor == r.window.end()) seat->behind->sequence = sequence;
}

// The member goes on at `position`, if that is further than it is. Answers how many messages this takes from it.
std::uint32_t room_table::skip_to(room_part& r, membership& seat, std::uint64_t position) {
  lag& l = *seat.behind;
  position = std::max(position, l.replay_end);
  if (position <= l.cursor) return 0;
  const std::uint64_t from = l.sequence;
  l.end_replay();
  l.cursor = position;
  l.sequence = r.window.sequence_at(position);
  if (from == l.sequence) return 0;
  l.lose(from, l.sequence);
  seat.unheard += l.sequence - from;
  lost_to_policy(r) += l.sequence - from;
  went_on(r);
  return static_cast<std::uint32_t>(l.sequence - from);
}

namespace {

// How far a member is behind, as its policy counts it.
std::uint64_t cost_behind(const room_part& r, const lag& l) {
  if (l.cursor < l.excused) return r.window.cost_behind(l.excused, l.excused_sequence);
  return r.window.cost_behind(l.cursor, l.sequence) + l.flying;
}

void log_slow(const room_host& host, const connection& c, const room_part& r, std::uint64_t bytes) try {
  static constinit log_rate rate;
  if (!is_logged(log_level::warning)) return;
  const auto [may_say, left_out] = rate.ask(now_ms());
  if (!may_say) return;
  const std::string peer = host.peer_of(c).text();
  if (left_out == 0)
    log_warning("closed {} as too slow: {} bytes waited for it in room {}", peer, bytes, r.name);
  else
    log_warning("closed {} as too slow: {} bytes waited for it in room {} (and {} others before)", peer, bytes, r.name, left_out);
} catch (const std::bad_alloc&) {
  // A line less.
}

} // namespace

// Looks at those that are behind; those that keep up are never looked at.
void room_table::apply_policy(room_part& r, const log_span& span, std::uint64_t position, broadcast_report& report) {
  const std::uint64_t behind_bytes_max = r.rules->behind_bytes_max;
  for (membership* seat : r.laggards) {
    lag& l = *seat->behind;
    if (l.stop == lag::no_stop && cost_behind(r, l) <= behind_bytes_max) {
      ++report.queued;
      continue;
    }
    switch (r.rules->policy) {
    case slow_consumer::close:
      ++report.dropped;
      to_close_.push_back(l.who);
      break;
    case slow_consumer::drop_newest:
      if (l.stop == lag::no_stop) {
        l.stop = position;
        if (l.held == nullptr) l.held = std::make_unique<span_window>(l.cursor, l.sequence);
        l.held->extend(r.window, position);
        went_on(r);
      }
      l.lose(span.first_sequence, span.first_sequence + span.frames());
      seat->unheard += span.frames();
      lost_to_policy(r) += span.frames();
      ++report.dropped;
      break;
    case slow_consumer::drop_oldest:
      // A single message above the bound is still the newest one: it stays.
      report.conflated += skip_to(r, *seat, std::min(r.window.begin_of_last(behind_bytes_max), r.window.last_frame_begin()));
      ++report.queued;
      break;
    case slow_consumer::latest:
      report.conflated += skip_to(r, *seat, r.window.last_frame_begin());
      ++report.queued;
      break;
    }
  }
  // Closing takes the member out of the list that was walked above.
  for (connection* c : to_close_) {
    ++counters_.members_closed_slow;
    log_slow(host_, *c, r, cost_behind(r, *seat_of(*c, r)->behind));
    host_.close_websocket(*c, static_cast<std::uint16_t>(close_code::try_again_later), "too slow: more is waiting than this room keeps");
  }
  to_close_.clear();
}

void room_table::reserve(room_part& r) {
  const std::uint32_t before = r.seats();
  ++r.reserved;
  members_changed(r, before);
}

void room_table::end_reservation(room_ref ref) {
  room_part* r = find(ref);
  RINGCAST_ASSERT(r != nullptr && r->reserved > 0);
  const std::uint32_t before = r->seats();
  --r->reserved;
  members_changed(*r, before);
}

void room_table::home_answered(room_ref ref, std::uint32_t first_seats) {
  room_part* r = find(ref);
  // Where a room of the cluster stands the home alone knows, each time.
  if (r != nullptr && r->seats() > 0 && r->first_seats == first_seats) r->known_at_home = !r->rules->cluster;
}

broadcast_report room_table::last_report(room_ref ref) {
  const room_part* r = find(ref);
  return r == nullptr ? broadcast_report{} : r->last_report;
}

void room_table::flushed() {
  for (room_part* r : dirty_) {
    r->dirty = false;
    r->authors_deaf = false;
    went_on(*r);
  }
  dirty_.clear();
}

void room_table::settle() {
  for (room_part* r : settling_) {
    r->settling = false;
    r->flushed_before = r->flushed;
    trim(*r);
  }
  settling_.clear();
}

// One look at each laggard and at each span that goes, however long the window is.
void room_table::trim(room_part& r) {
  if (r.window.empty()) return;
  std::uint64_t needed_from = r.flushed;
  for (const membership* seat : r.laggards) needed_from = std::min(needed_from, seat->behind->needed_from());
  r.window.drop_before(needed_from);
}

void room_table::members_changed(room_part& r, std::uint32_t before) {
  const std::uint32_t now = r.seats();
  if (now == 0 && !r.listed_empty) {
    r.listed_empty = true;
    empty_.push_back(&r);
  }
  if (before == 0) ++r.first_seats;
  if (before == 0 || now == 0) r.known_at_home = now > 0 && r.home_shard == host_.index() && !r.rules->cluster;
  // The home must know of the first member before anything that this member publishes arrives there. Other changes wait for the end of
  // the turn, so that a thousand joins are one message.
  if (before == 0 || now == 0 || r.home_shard == host_.index()) {
    send_member_count(r);
  } else if (!r.member_count_changed) {
    r.member_count_changed = true;
    counts_changed_.push_back(&r);
  }
}

void room_table::send_member_count(room_part& r) {
  host_.deliver(r.home_shard, record_kind::member_count, bytes_of(member_count_record{{r.index, r.generation}, r.seats()}), {});
}

void room_table::end_turn() {
  for (room_part* r : counts_changed_) {
    r->member_count_changed = false;
    send_member_count(*r);
  }
  counts_changed_.clear();
  for (room_part*& r : empty_) {
    if (r->seats() > 0) {
      r->listed_empty = false;
      r = nullptr;
    } else if (!r->dirty && !r->settling) {
      r->window.clear();
      host_.deliver(r->home_shard, record_kind::detach_room, bytes_of(room_ref{r->index, r->generation}), {});
      by_name_[index_of(r->encoding)].erase(r->name);
      r->name.clear();
      free_.push_back(r->index);
      r = nullptr;
    }
  }
  std::erase(empty_, nullptr);
}

void room_table::clear() {
  for (auto& r : rooms_) {
    r->window.clear();
    for (membership* seat : r->laggards) seat->behind->held.reset();
  }
}

} // namespace ringcast::engine
