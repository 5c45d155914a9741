// How a shard stops. It is asked by a flag beside its doorbell; the shards of a server are asked together, and each goes through these steps:
//
//   1. begin_stop()    Listeners close. No request and no message of a peer is handled any more, no other thread's message is taken any
//                      more, and requests that are being answered get their answer. Idle connections that are no WebSockets are closed.
//   2. said_all        What was queued before has been handled, so this shard makes no more publications, and says so behind the last.
//   3. published_all   All others have said so, so the logs of the rooms that live here have ended; said behind their last spans.
//   4. closing         All others' logs have ended, too. Whoever has been sent everything is sent Close 1001, and whoever is behind when
//                      it has caught up. So what was called queued comes before the Close frame, as far as the peer reads.
//   5. may_end()       The last connection is gone, and nothing waits here for a shard that still drains.
//
// The close timeout bounds all of it: when it is over the rest is cut off, and what was not sent is counted. Each of the two marks travels
// in the lanes, behind what it speaks of, and costs one hop; nobody waits for a shard that has ended, since none ends before it has said both,
// but by the close timeout, which is the same for all.
#include "engine/io/socket.hpp"
#include "engine/shard/shard.hpp"

namespace ringcast {

void shard::begin_stop() {
  stopping_ = true;
  stop_step_ = stop_step::said_all;
  // Functions may still come: coroutines wait for them, and clients are let go by them.
  inbox_.take_only(static_cast<std::uint32_t>(record_kind::run));
  for (int& listener : listeners_) {
    if (listener < 0) continue;
    // Shutting a listener down ends its multishot accept; the descriptor goes behind it.
    shut_down(listener);
    ring_->arm_close(listener);
    listener = -1;
  }
  connections_.for_each([this](connection& c) {
    if (c.phase == connection_phase::connecting || c.phase == connection_phase::upgrading) {
      end(c, 1001, "this end is going away");
    } else if (c.phase == connection_phase::http) {
      if (c.answering)
        c.keep_alive = false;
      else if (c.partial != nullptr)
        refuse_request(c, http_status::service_unavailable, "the server is going away");
      else
        finish(c);
    }
  });
  scheduler_.stop();
  timers_.arm(stop_timer_, now_ms_ + options_.limits.close_timeout_ms);
}

bool shard::has_stop_step() const { return stopping_ && (stop_step_ == stop_step::close || may_end()); }

// At the end of each turn, when the spans of the turn are published.
void shard::go_on_with_stop() {
  const std::uint32_t neighbours = mesh_.shard_count() - 1;
  const auto tell_neighbours = [this](record_kind what) {
    for (std::uint32_t to = 0; to < mesh_.shard_count(); ++to)
      if (to != index_) port_.send(to, static_cast<std::uint32_t>(what), {});
  };
  switch (stop_step_) {
  case stop_step::said_all:
    if (inbox_.has_records()) return;
    takes_publications_ = false;
    tell_neighbours(record_kind::said_all);
    stop_step_ = stop_step::published_all;
    [[fallthrough]];
  case stop_step::published_all:
    if (neighbours_said_all_ < neighbours || home_.has_unpublished()) return;
    tell_neighbours(record_kind::published_all);
    stop_step_ = stop_step::logs_ended;
    [[fallthrough]];
  case stop_step::logs_ended:
    // The flush of this turn sends what came last, and its failures are known in the next.
    if (neighbours_published_all_ == neighbours) stop_step_ = stop_step::close;
    return;
  case stop_step::close: stop_step_ = stop_step::closing; [[fallthrough]];
  case stop_step::closing:
    // Whoever waits for nothing that was called queued: all of those who keep up at first, then one after the other.
    connections_.for_each([this](connection& c) {
      if (c.behind == nullptr && c.is_open_websocket())
        close_websocket(c, static_cast<std::uint16_t>(close_code::going_away), "the server is going away");
    });
    return;
  case stop_step::none: return;
  }
}

void shard::say_going_away(connection& c) {
  c.close_code = static_cast<std::uint16_t>(close_code::going_away);
  tell_closed(c, "the server is going away");
  static const websocket_endpoint nobody;
  c.endpoint = &nobody;
}

bool shard::may_end() const {
  if (!stopping_ || connections_.used() > 0 || handlers_.has_untold()) return false;
  return stop_now_ || (scheduler_.task_count() == 0 && stop_step_ == stop_step::closing && !port_.waits_for_the_living());
}

// The close timeout is over: nobody is waited for any longer. What the kernel still holds is waited for: its operations read and write
// memory of this shard.
void shard::end_all() {
  stop_now_ = true;
  takes_publications_ = false;
  connections_.for_each([this](connection& c) {
    count_unsent(c);
    give_up(c, 1006, "the server stopped");
  });
}

// Of messages that the kernel was given in a part only the connection is counted.
void shard::count_unsent(connection& c) {
  if (c.behind == nullptr || c.phase == connection_phase::ending) return;
  ++counters_.unsent_connections;
  counters_.unsent_own_bytes += c.behind->own_bytes();
  for (const membership* seat = c.memberships; seat != nullptr; seat = seat->next) {
    if (seat->behind == nullptr) continue;
    const lag& l = *seat->behind;
    const span_window& window = l.held != nullptr ? *l.held : seat->where->window;
    counters_.unsent_messages += window.next_sequence() - l.sequence;
  }
}

} // namespace ringcast
