#include "engine/shard/stopper.hpp"

#include "engine/room/room.hpp"
#include "engine/shard/acceptor.hpp"
#include "engine/shard/closer.hpp"
#include "engine/shard/http_side.hpp"
#include "engine/shard/websocket_side.hpp"

namespace ringcast::engine {

void stopper::begin() {
  with_.state.is_stopping = true;
  step_ = step::said_all;
  // Functions may still come: coroutines wait for them, and clients are let go by them.
  with_.from_threads.take_only(static_cast<std::uint32_t>(record_kind::run));
  with_.accepting.close_listeners();
  with_.connections.for_each([this](connection& c) { stop_connection(c); });
  with_.coroutines.stop();
  with_.home.answer_readers();
  with_.wheel.arm(timer_, with_.clock.ms + with_.limits.close_timeout_ms);
}

void stopper::stop_connection(connection& c) {
  if (c.phase == connection_phase::connecting || c.phase == connection_phase::upgrading) return with_.closing.end(c, 1001, "this end is going away");
  end_request(c);
}

void stopper::end_request(connection& c) {
  if (c.phase != connection_phase::http) return;
  if (c.answering)
    with_.http.close_after_answer(c);
  else if (c.partial != nullptr)
    with_.http.refuse_request(c, http_status::service_unavailable, "the server is going away");
  else
    with_.closing.finish(c);
}

void stopper::go_on() {
  const std::uint32_t neighbours = with_.between.shard_count() - 1;
  switch (step_) {
  case step::said_all:
    if (with_.from_threads.has_records()) return;
    with_.state.takes_publications = false;
    tell_neighbours(record_kind::said_all);
    step_ = step::published_all;
    [[fallthrough]];
  case step::published_all:
    if (neighbours_said_all_ < neighbours || with_.home.has_unpublished()) return;
    tell_neighbours(record_kind::published_all);
    step_ = step::logs_ended;
    [[fallthrough]];
  case step::logs_ended:
    // The flush of this turn sends what came last, and its failures are known in the next.
    if (neighbours_published_all_ == neighbours) step_ = step::close;
    return;
  case step::close: step_ = step::closing; [[fallthrough]];
  case step::closing: return close_those_who_keep_up();
  case step::none: return;
  }
}

void stopper::tell_neighbours(record_kind what) {
  for (std::uint32_t to = 0; to < with_.between.shard_count(); ++to)
    if (to != with_.connections.index()) with_.port.send(to, static_cast<std::uint32_t>(what), {});
}

// Whoever waits for nothing that was called queued: all of those who keep up at first, then one after the other.
void stopper::close_those_who_keep_up() {
  with_.connections.for_each([this](connection& c) {
    if (c.behind == nullptr && c.is_open_websocket())
      with_.websockets.close(c, static_cast<std::uint16_t>(close_code::going_away), "the server is going away");
  });
}

void stopper::say_going_away(connection& c) {
  c.close_code = static_cast<std::uint16_t>(close_code::going_away);
  with_.closing.tell_closed(c, "the server is going away");
  static const websocket_endpoint nobody;
  c.endpoint = &nobody;
}

bool stopper::may_end() const {
  if (!with_.state.is_stopping || with_.connections.used() > 0 || with_.users.has_untold()) return false;
  return with_.state.is_over || (with_.coroutines.task_count() == 0 && step_ == step::closing && !with_.port.waits_for_the_living());
}

// What the kernel still holds is waited for: its operations read and write
// memory of this shard.
void stopper::on_timer() {
  with_.state.is_over = true;
  with_.state.takes_publications = false;
  with_.connections.for_each([this](connection& c) {
    count_unsent(c);
    with_.closing.give_up(c, 1006, "the server stopped");
  });
}

// Of messages that the kernel was given in a part only the connection is counted.
void stopper::count_unsent(const connection& c) {
  if (c.behind == nullptr || c.phase == connection_phase::ending) return;
  ++with_.counters.unsent_connections;
  with_.counters.unsent_own_bytes += c.behind->own_bytes();
  for (const membership* seat = c.memberships; seat != nullptr; seat = seat->next) {
    if (seat->behind == nullptr) continue;
    const lag& l = *seat->behind;
    const span_window& window = l.held != nullptr ? *l.held : seat->where->window;
    with_.counters.unsent_messages += window.next_sequence() - l.sequence;
  }
}

} // namespace ringcast::engine
