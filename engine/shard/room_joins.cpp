#include "engine/shard/room_joins.hpp"

#include "engine/connection/handle_access.hpp"
#include "engine/shard/rate_gate.hpp"
#include "engine/shard/refusal_log.hpp"
#include "engine/shard/shard.hpp"
#include <ringcast/names.hpp>

#include <memory>
#include <utility>

namespace ringcast::engine {

membership& sit_down(room_table& rooms, outbox& output, connection& c, room_part& r, wanted_seat&& wanted, replay* heard) {
  // What came in this turn in front of the answer is a part of what was said before: it begins behind that.
  if (heard != nullptr && (!heard->spans.empty() || r.flushed != r.window.end())) output.begin_backlog(c);
  membership& seat = heard != nullptr ? rooms.join(c, r, wanted.hears, *heard) : rooms.join(c, r, wanted.hears);
  if (heard != nullptr) seat.need_details().joined = heard->joined;
  if (!wanted.name.empty()) seat.need_details().name = std::move(wanted.name);
  if (!wanted.user.empty()) seat.need_details().user = std::move(wanted.user);
  if (wanted.watches) rooms.watch(seat);
  return seat;
}

namespace {

membership* seat_in(const connection& c, std::string_view room) {
  for (membership* seat = c.memberships; seat != nullptr; seat = seat->next)
    if (seat->where->name == room) return seat;
  return nullptr;
}

std::size_t seats_of(const connection& c) {
  std::size_t count = 0;
  for (const membership* seat = c.memberships; seat != nullptr; seat = seat->next) ++count;
  return count;
}

} // namespace

send_status room_joins::join(connection& c, std::string_view room, const seat_wish& wish, answer on_answer) {
  if (!c.is_open_websocket() || with_.stop.is_stopping) return send_status::closed;
  if (c.message_open) return send_status::in_message;
  if (!check_room_name(room) || (!wish.name.empty() && !check_member_name(wish.name)) || (!wish.user.empty() && !check_member_name(wish.user)))
    return send_status::invalid_name;
  if (seats_of(c) >= websocket_ref::rooms_per_connection_max) return send_status::full;
  const connection_handle who = with_.host.handle_of(c);
  if (!with_.rates.admit_join(c)) {
    joining refused{.room = std::string{room}, .part = {}, .wanted = {}, .wants_position = false, .on_answer = std::move(on_answer)};
    tell(who, refused, rate_gate::joins_too_fast, {});
    return send_status::queued;
  }
  const room_encoding encoding = c.event_stream ? room_encoding::event_stream : encoding_with(is_deflating(with_.host.encoding_of(c)), wish.numbered);
  room_part& r = with_.rooms.at(room, encoding);
  const bool wants_replay = wish.replay.has_value() || wish.position;
  auto asked = std::make_shared<joining>(
      joining{.room = std::string{room},
              .part = {r.index, r.generation},
              .wanted = {.name = std::string{wish.name}, .user = std::string{wish.user}, .hears = wish.hears, .watches = wish.watches_users},
              .wants_position = wants_replay,
              .on_answer = std::move(on_answer)});
  const replay_wish before = wants_replay ? replay_wish{wish.replay.value_or(replay_options{})} : replay_wish{};
  with_.claims.begin(r, who, asked->wanted.name, seat_claims::name_rule::exclusive, before,
                     [this, who, asked](std::uint32_t id, claim_verdict verdict, replay* heard) {
                       // Also where there is no memory for the seat.
                       struct at_end {
                         seat_claims& claims;
                         std::uint32_t claim;
                         room_ref room;
                         ~at_end() { claims.end(claim, room); }
                       } end{with_.claims, id, asked->part};
                       return answered(who, *asked, verdict, heard);
                     });
  return send_status::queued;
}

bool room_joins::answered(connection_handle who, joining& asked, claim_verdict verdict, replay* heard) {
  connection* const c = with_.host.find(who);
  room_part* const r = with_.rooms.find(asked.part);
  if (c == nullptr || !c->is_open_websocket() || r == nullptr) return false;
  std::string_view why_not;
  if (verdict == claim_verdict::room_full) log_refusal(refusal::room_full, with_.host.peer_of(*c));
  if (verdict != claim_verdict::granted)
    why_not = why_no_seat(verdict);
  else if (asked.wants_position && heard == nullptr)
    why_not = "the server has no memory";
  else if (seat_in(*c, asked.room) != nullptr)
    why_not = "it sits in this room already";
  else if (seats_of(*c) >= websocket_ref::rooms_per_connection_max) // joins that were asked for together
    why_not = "it sits in as many rooms as it may";
  else if (c->message_open)
    why_not = "the connection is sending a message in fragments";
  joined_position joined;
  if (why_not.empty()) {
    if (heard != nullptr) joined = heard->joined;
    sit_down(with_.rooms, with_.output, *c, *r, std::move(asked.wanted), heard);
  }
  tell(who, asked, why_not, joined);
  return why_not.empty();
}

void room_joins::tell(connection_handle who, joining& asked, std::string_view why_not, const joined_position& joined) {
  with_.users.note_answer(
      [this, who, room = std::move(asked.room), on_answer = std::move(asked.on_answer), why_not, joined] {
        connection* const c = with_.host.find(who);
        if (c == nullptr || !c->is_open_websocket()) return;
        if (on_answer)
          on_answer(handle_access::ref(with_.owner, *c), {.room = room, .granted = why_not.empty(), .why_not = why_not, .joined = joined});
        // The connection is still there: slots are released at the end of a turn.
        with_.rooms.tell_users(*c);
      },
      who, with_.host.find(who)->endpoint->registered_at);
}

void room_joins::leave(connection& c, std::string_view room) {
  if (const membership* const seat = seat_in(c, room)) with_.rooms.leave(c, *seat->where);
}

} // namespace ringcast::engine
