// The part of the outbox for rooms whose log begins anew: cluster rooms, where the engine has lost something.
#include "engine/connection/user_events.hpp"
#include "engine/room/outbox.hpp"
#include "engine/room/room_table.hpp"

#include <algorithm>
#include <new>

namespace ringcast::engine {

namespace {

// From here on its numbers are those behind `at`. What it had not been sent is lost to it, up to there.
void go_on_behind(lag& l, membership& seat, const span_window& window, const room_position& at) {
  const std::uint64_t end = l.stop == lag::no_stop ? window.next_sequence() : l.held->next_sequence(); // behind a stop it is counted already
  seat.unheard += end - l.sequence;
  if (l.gap_end == 0 || l.sequence < l.gap_from) l.gap_from = l.sequence;
  l.gap_end = at.sequence + 1;
  if (at.epoch != 0) l.anew = at;
  if (l.anew.epoch != 0) l.anew.sequence = at.sequence;
  if (l.anew.epoch != 0 || l.gap_from == l.gap_end) l.gap_end = 0; // which numbers of another epoch are lost says nothing
  l.stop = lag::no_stop;
  l.replay_end = l.excused = 0;
  l.held.reset();
  l.cursor = window.end();
  l.sequence = at.sequence + 1;
}

} // namespace

// So no window ever has a hole, and no cursor stands in front of one.
void outbox::break_log(room_part& r, const room_position& at) {
  for (std::size_t i = r.keeping_up.size(); i-- > 0;) {
    connection& c = host_.connections().at(r.keeping_up[i].slot);
    if (is_untold(c, user_event::leaving)) continue; // it hears nothing more from here
    try {
      begin_backlog(c);
      r.window.for_each_piece(r.flushed, r.window.end(), host_.handle_of(c).value, [&](const log_piece& piece) {
        append(c.behind->queued, {piece.bytes(), piece.size()});
        return true;
      });
      lag& l = *room_table::seat_of(c, r)->behind;
      l.cursor = r.window.end();
      l.sequence = r.window.next_sequence();
    } catch (const std::bad_alloc&) {
      host_.on_output_refused(c);
    }
  }
  for (membership* const seat : r.laggards) {
    go_on_behind(*seat->behind, *seat, r.window, at);
    going_on_.push_back(seat->behind->who);
  }
  r.window.clear();
  r.window.expect(at.sequence + 1);
  r.flushed = r.flushed_before = r.window.end();
}

} // namespace ringcast::engine
