#include "engine/shard/closer.hpp"

#include "engine/connection/user_events.hpp"
#include "engine/io/socket.hpp"
#include "engine/shard/acceptor.hpp"
#include "engine/shard/access_book.hpp"
#include "engine/shard/connector.hpp"
#include "engine/shard/http_side.hpp"
#include "engine/shard/input_flow.hpp"
#include "engine/shard/memory_ledger.hpp"
#include "engine/shard/message_compression.hpp"
#include "engine/shard/proxied_input.hpp"
#include "engine/shard/socket_reader.hpp"
#include "engine/shard/tls_layer.hpp"
#include "engine/shard/upgrader.hpp"
#include <ringcast/detail/assert.hpp>

#include <utility>

namespace ringcast::engine {

void closer::finish(connection& c) {
  if (c.phase == connection_phase::finishing || c.phase == connection_phase::ending) return;
  leave_rooms(c);
  count_ending(c);
  c.phase = connection_phase::finishing;
  c.input_stopped = false; // there will be no more of it
  on_all_sent(c);
  with_.timers.arm(c, with_.limits.close_timeout_ms);
}

void closer::count_ending(const connection& c) {
  if (c.is_client) return;
  --(c.phase == connection_phase::websocket ? with_.counters.websocket_connections : with_.counters.http_connections);
  ++with_.counters.ending_connections;
}

void closer::shut_down_finished() {
  if (finishing_.empty()) return;
  std::vector<connection_handle> finished;
  finished.swap(finishing_);
  for (const connection_handle handle : finished)
    if (connection* c = with_.connections.find(handle); c != nullptr && c->phase == connection_phase::finishing) shut_down_one(*c);
}

void closer::shut_down_one(connection& c) {
  if (c.gather != connection::no_gather) return on_all_sent(c); // it has been given more in this turn
  if (c.behind != nullptr) return;                              // shard::on_output_progress() lists it again
  if (with_.tls.say_close_notify(c)) return on_all_sent(c);
  // What TCP has still to deliver to a peer that has closed only its own side is waited for, with the bound of is_draining().
  if (c.peer_closed && unsent_payload(c) == 0) return end(c, c.close_code, {});
  if (!c.is_client || !with_.seats[c].clean) {
    shut_down_writing(c.socket);
    c.end_sent = true;
  }
  if (c.receiving == receive_mode::paused) with_.receiving.resume(c);
  with_.timers.arm(c, linger_ms);
}

void closer::end(connection& c, std::uint16_t code, std::string_view reason) {
  if (c.phase == connection_phase::ending || c.phase == connection_phase::free) return;
  const connection_phase was = c.phase;
  leave_rooms(c);
  if (was != connection_phase::finishing) count_ending(c);
  c.phase = connection_phase::ending;
  with_.timers.cancel(c);
  if (was == connection_phase::websocket) {
    if (c.closing.state() == close_state::open) c.close_code = code;
    tell_closed(c, reason);
  }
  if (c.is_client && was != connection_phase::websocket) with_.connecting.end_attempt(c, reason);
  with_.upgrades.forget(c);
  with_.http.forget(c);
  with_.proxied.forget(c);
  with_.output.forget(c);
  if (c.operations > 0) {
    // A connect that is under way is not ended by a shutdown.
    if (was == connection_phase::connecting)
      with_.io.arm_cancel({operation::cancel}, {operation::connect, c.generation, c.slot});
    else
      shut_down(c.socket);
    // A multishot poll goes on after the shutdown that it reports.
    if (c.receiving == receive_mode::polled) with_.io.arm_cancel({operation::cancel}, {operation::poll_receive, c.generation, c.slot});
  }
  release_if_done(c);
}

// TCP counts our end as one byte more, which nobody waits for (and Unix sockets count none). It stands behind everything else.
std::size_t closer::unsent_payload(const connection& c) {
  const std::size_t bytes = unsent_bytes(c.socket);
  return c.end_sent && bytes == 1 ? 0 : bytes;
}

// The grace has ended: what the peer has not taken by now would stay in the kernel for minutes, in no limit's sight, so it is dropped and the
// connection reset. One that has taken everything is closed as usual.
void closer::give_up(connection& c, std::uint16_t code, std::string_view reason) {
  if (c.behind != nullptr || unsent_payload(c) > 0) {
    ++with_.counters.resets;
    reset_when_closed(c.socket);
  }
  end(c, code, reason);
}

bool closer::is_draining(const connection& c) {
  if (c.is_client || c.endpoint != nullptr) return false; // a WebSocket has had the close timeout
  const std::uint64_t left = unsent_payload(c) + with_.output.waiting_bytes(c);
  if (left == 0) return false;
  const auto [before, is_first] = draining_.try_emplace(c.slot, left);
  if (is_first) return true;
  if (left + std::uint64_t{drain_bytes_per_s_min} * linger_ms / 1000 > before->second) return false;
  before->second = left;
  return true;
}

void closer::release_if_done(connection& c) {
  if (c.phase == connection_phase::ending && c.operations == 0) ended_.push_back(with_.connections.handle_of(c));
}

void closer::release_ended() {
  if (ended_.empty()) return;
  for (const connection_handle handle : ended_) {
    connection* c = with_.connections.find(handle);
    if (c == nullptr || c->phase != connection_phase::ending || c->operations != 0 || c->untold != 0) continue; // listed again
    release(*c);
  }
  with_.ledger.note_freed();
  ended_.clear();
}

void closer::release(connection& c) {
  RINGCAST_ASSERT(c.behind == nullptr && c.memberships == nullptr);
  if (c.partial != nullptr) with_.input.free_partial(c);
  if (c.layers != nullptr) {
    with_.tls.end_handshake(c);
    with_.compression.end(c);
  }
  --(c.is_client ? with_.counters.client_connections : with_.counters.ending_connections);
  if (c.is_client)
    with_.seats[c] = {};
  else
    with_.accepting.release(c);
  with_.users.forget(c);
  with_.access.released(c);
  with_.io.arm_close(c.socket);
  if (!draining_.empty()) draining_.erase(c.slot);
  with_.connections.give_back(c);
}

void closer::leave_rooms(connection& c) {
  if (c.memberships == nullptr || is_untold(c, user_event::leaving)) return;
  if (is_untold(c, user_event::opened) || (c.handler_told && c.endpoint->on_leave)) return with_.users.note(c, user_event::leaving);
  with_.rooms.leave_all(c);
}

void closer::tell_closed(connection& c, std::string_view reason) {
  if (!c.handler_told) return;
  c.handler_told = false;
  if (!c.is_client) ++with_.counters.closes[close_code_place(c.close_code)];
  if (c.endpoint->is_internal) return with_.users.internal_closed(c, reason);
  with_.tls.keep_ticket(c);
  with_.users.note_closed(c, reason);
}

} // namespace ringcast::engine
