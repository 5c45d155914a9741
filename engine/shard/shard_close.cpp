// How connections of a shard end, in named steps, and their timers.
//
//   finish   no more input is handled; what is queued is sent, then the write side is shut down and the peer's end of stream awaited
//   end      the socket is shut down both ways, which completes whatever the kernel still holds for it
//   release  nothing is in flight any more: the descriptor is closed and the slot is free for its next generation
#include "engine/base/clock.hpp"
#include "engine/io/socket.hpp"
#include "engine/shard/shard.hpp"

#include <cstddef>
#include <utility>

namespace ringcast {

void shard::finish(connection& c) {
  if (c.phase == connection_phase::finishing || c.phase == connection_phase::ending) return;
  leave_rooms(c);
  c.phase = connection_phase::finishing;
  c.input_stopped = false; // there will be no more of it
  finishing_.push_back(handle_of(c));
  arm_timer(c, options_.limits.close_timeout_ms);
}

// Runs when the failures of the last flush are known: whoever has no backlog has been sent everything.
void shard::shut_down_finished() {
  if (finishing_.empty()) return;
  std::vector<connection_handle> finished;
  finished.swap(finishing_);
  for (const connection_handle handle : finished) {
    connection* c = find(handle);
    if (c == nullptr || c->phase != connection_phase::finishing) continue;
    if (c->gather != connection::no_gather) {
      finishing_.push_back(handle);
      continue;
    }
    if (c->behind != nullptr) continue; // on_output_progress() lists it again
    if (say_close_notify(*c)) {
      finishing_.push_back(handle);
      continue;
    }
    // What TCP has still to deliver to a peer that has closed only its own side is waited for, with the bound of on_connection_timer().
    if (c->peer_closed && unsent_bytes(c->socket) == 0) {
      end(*c, c->close_code, {});
      continue;
    }
    if (!c->is_client || !client_seats_[c->slot].clean) shut_down_writing(c->socket);
    if (c->receiving == receive_mode::paused) resume_receive(*c);
    arm_timer(*c, linger_ms);
  }
}

void shard::end(connection& c, std::uint16_t code, std::string_view reason) {
  if (c.phase == connection_phase::ending || c.phase == connection_phase::free) return;
  const connection_phase was = c.phase;
  leave_rooms(c);
  c.phase = connection_phase::ending;
  timers_.cancel(c.timer);
  if (was == connection_phase::websocket) {
    if (c.closing.state() == close_state::open) c.close_code = code;
    tell_closed(c, reason);
  }
  if (c.is_client && was != connection_phase::websocket) end_attempt(c, reason);
  if (upgrades_.erase(c.slot) > 0) handlers_.note_discarded(*c.endpoint, c.user);
  outbox_.forget(c);
  if (c.operations > 0) {
    // A connect that is under way is not ended by a shutdown.
    if (was == connection_phase::connecting)
      ring_->arm_cancel({operation::cancel}, {operation::connect, c.generation, c.slot});
    else
      shut_down(c.socket);
    // A multishot poll goes on after the shutdown that it reports.
    if (c.receiving == receive_mode::polled) ring_->arm_cancel({operation::cancel}, {operation::poll_receive, c.generation, c.slot});
  }
  release_if_done(c);
}

// The grace has ended: what the peer has not taken by now would stay in the kernel for minutes, in no limit's sight, so it is dropped and the
// connection reset. One that has taken everything is closed as usual.
void shard::give_up(connection& c, std::uint16_t code, std::string_view reason) {
  if (c.behind != nullptr || unsent_bytes(c.socket) > 0) {
    ++counters_.resets;
    reset_when_closed(c.socket);
  }
  end(c, code, reason);
}

// The last answers of a connection that ends are still being taken, not too slowly.
bool shard::is_draining(connection& c) {
  if (c.is_client || c.endpoint != nullptr) return false; // a WebSocket has had the close timeout
  const std::uint64_t left = unsent_bytes(c.socket) + outbox_.waiting_bytes(c);
  if (left == 0) return false;
  const auto [before, is_first] = draining_.try_emplace(c.slot, left);
  if (is_first) return true;
  if (left + std::uint64_t{drain_bytes_per_s_min} * linger_ms / 1000 > before->second) return false;
  before->second = left;
  return true;
}

// Whether a request's head is there and its body is on its way.
bool shard::is_inside_body(const connection& c) {
  return c.partial != nullptr && (c.partial->body != nullptr || c.partial->wanted > c.partial->size + 1);
}

// Where the progress of the message under way is noted: with its fragments, which outlive the frames, or with the frame that is cut. Null where
// none is demanded.
message_progress* shard::progress_of(connection& c) {
  if (c.partial == nullptr && c.assembler.arrived_bytes() < large_frame_bytes) return nullptr;
  if (message_progress* of_message = c.assembler.progress()) return of_message;
  return c.partial != nullptr ? &c.partial->progress : nullptr;
}

// Looked at by the connection's timer. A peer that we do not read, because it does not take its answers, is not asked.
bool shard::makes_progress(const connection& c, message_progress& before, std::uint64_t arrived, std::uint32_t over_ms) {
  const auto now = static_cast<std::uint32_t>(now_ms_ | 1); // 0 says that nobody has looked
  const bool is_read = c.receiving != receive_mode::paused && c.receiving != receive_mode::pausing;
  if (before.at_ms != 0 && is_read) {
    const std::uint32_t passed_ms = now - before.at_ms;
    if (passed_ms < over_ms) return true;
    if ((arrived - before.bytes) * 1000 < std::uint64_t{progress_bytes_per_s_min} * passed_ms) return false;
  }
  before = {.bytes = arrived, .at_ms = now};
  return true;
}

void shard::release_if_done(connection& c) {
  if (c.phase == connection_phase::ending && c.operations == 0) ended_.push_back(handle_of(c));
}

// A connection is released at one place of the turn only, so that nobody above on the stack still holds it.
void shard::release_ended() {
  if (ended_.empty()) return;
  for (const connection_handle handle : ended_) {
    connection* c = find(handle);
    if (c == nullptr || c->phase != connection_phase::ending || c->operations != 0 || c->untold != 0) continue; // listed again
    RINGCAST_ASSERT(c->behind == nullptr && c->memberships == nullptr);
    if (c->partial != nullptr) free_partial(*c);
    if (c->layers != nullptr) {
      end_handshake(*c);
      end_compression(*c);
    }
    if (c->is_client)
      client_seats_[c->slot] = {};
    else
      release_admission(*c);
    handlers_.forget(*c);
    ring_->arm_close(c->socket);
    if (!draining_.empty()) draining_.erase(c->slot);
    connections_.give_back(*c);
  }
  purge_owed_ = true;
  ended_.clear();
}

// A handler that wants to hear of it keeps the seats until it has; nothing is sent from them meanwhile.
void shard::leave_rooms(connection& c) {
  if (c.memberships == nullptr || is_untold(c, user_event::leaving)) return;
  if (is_untold(c, user_event::opened) || (c.handler_told && c.endpoint->on_leave)) return handlers_.note(c, user_event::leaving);
  rooms_.leave_all(c);
}

// The endpoint hears of the end once, and only if it hears of the beginning.
void shard::tell_closed(connection& c, std::string_view reason) {
  if (!c.handler_told) return;
  c.handler_told = false;
  if (c.endpoint->is_internal) return c.endpoint->on_close(websocket_ref{*this, c}, c.close_code, reason);
  keep_ticket(c);
  handlers_.note_closed(c, reason);
}

// A part of the backlog was sent.
void shard::on_output_progress(connection& c) {
  // The peer's TCP has acknowledged bytes: it lives, even if it says nothing.
  c.last_heard_ms = static_cast<std::uint32_t>(now_ms_);
  if (c.phase == connection_phase::finishing) {
    if (c.behind == nullptr) finishing_.push_back(handle_of(c));
    return;
  }
  if (c.phase == connection_phase::ending) return;
  if (c.behind != nullptr && c.behind->own_bytes() > low_watermark_bytes) return;
  if (c.input_stopped)
    stopped_.push_back(handle_of(c));
  else
    resume_receive(c);
  if (!c.is_open_websocket() || !c.endpoint->on_drain) return;
  if (c.endpoint->is_internal)
    c.endpoint->on_drain(websocket_ref{*this, c});
  else
    handlers_.note(c, user_event::drained);
}

// on_open has been called: what has come behind the upgrade is read.
void shard::begin_input(connection& c) {
  c.answering = false;
  if (c.partial != nullptr || c.peer_closed) input_again_.push_back(handle_of(c));
}

void shard::on_timer(timer_node& node) {
  if (node.kind == waiter::timer_kind) return waiter::on_timer(node);
  switch (static_cast<timer_kind>(node.kind)) {
  case timer_accept: accept_failing_ = false; return;
  case timer_stop: return end_all();
  case timer_trim: return on_trim();
  case timer_client: return clients_->on_timer(node);
  case timer_connection: break;
  }
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Winvalid-offsetof"
  // The node is a member of a connection; every compiler that ringcast supports lays it out at a fixed offset.
  on_connection_timer(*reinterpret_cast<connection*>(reinterpret_cast<std::byte*>(&node) - offsetof(connection, timer)));
#pragma clang diagnostic pop
}

// One timer a connection, armed lazily: it is not moved when bytes arrive, but looks at the last arrival when it expires.
void shard::on_connection_timer(connection& c) {
  const std::uint32_t silent_ms = static_cast<std::uint32_t>(now_ms_) - c.last_heard_ms;
  switch (c.phase) {
  case connection_phase::free:
  case connection_phase::ending: return;
  case connection_phase::http:
    if (c.answering) return arm_timer(c, options_.limits.handshake_timeout_ms);
    if (c.input_stopped) {
      // Its requests wait for it to take the answers of those before.
      if (silent_ms < options_.limits.handshake_timeout_ms) return arm_timer(c, options_.limits.handshake_timeout_ms - silent_ms);
      return finish(c);
    }
    if (is_inside_body(c)) {
      const std::uint64_t before = std::exchange(c.partial->progress.bytes, c.partial->size);
      if ((c.partial->size - before) * 1000 >= std::uint64_t{progress_bytes_per_s_min} * options_.limits.handshake_timeout_ms)
        return arm_timer(c, options_.limits.handshake_timeout_ms);
    }
    if (c.partial != nullptr)
      refuse_request(c, http_status::request_timeout, "the request took too long");
    else
      finish(c);
    return;
  case connection_phase::connecting:
  case connection_phase::upgrading:
    return fail_attempt(
        c, {.kind = client_error_kind::timed_out,
            .text = client_seats_[c.slot].tls_pending ? "the TLS handshake was not finished in time" : "the server did not answer in time"});
  case connection_phase::finishing:
    if (is_draining(c)) return arm_timer(c, linger_ms);
    return give_up(c, c.close_code, "the peer did not close");
  case connection_phase::websocket: break;
  }
  if (is_untold(c, user_event::closing)) return; // the answer is on its way
  if (c.closing.state() != close_state::open) return give_up(c, c.close_code, "the closing handshake was not answered");
  const server_limits& limits = limits_of(c);
  if (c.input_held) {
    // Its silence is ours: what it says is not read now.
    c.last_heard_ms = static_cast<std::uint32_t>(now_ms_);
    note_message(c);
    if (message_progress* progress = progress_of(c)) progress->at_ms = 0;
    return arm_timer(c, limits.frame_timeout_ms);
  }
  const bool inside = !c.input_stopped && (c.partial != nullptr || c.assembler.is_inside_message());
  if (inside && silent_ms >= limits.frame_timeout_ms) {
    close_websocket(c, static_cast<std::uint16_t>(close_code::policy_violation), "silence in the middle of a message");
    return;
  }
  std::uint64_t next = inside ? limits.frame_timeout_ms - silent_ms : UINT64_MAX;
  if (message_progress* progress = inside ? progress_of(c) : nullptr) {
    const std::uint64_t arrived = c.assembler.arrived_bytes() + (c.partial != nullptr ? c.partial->size : 0);
    if (!makes_progress(c, *progress, arrived, limits.frame_timeout_ms)) {
      close_websocket(c, static_cast<std::uint16_t>(close_code::policy_violation), "a message comes too slowly");
      return;
    }
    const std::uint32_t looked_ms = static_cast<std::uint32_t>(now_ms_) - progress->at_ms;
    next = std::min<std::uint64_t>(next, looked_ms < limits.frame_timeout_ms ? limits.frame_timeout_ms - looked_ms : 1);
  }
  if (const std::uint32_t idle_timeout_ms = idle_timeout_of(c); idle_timeout_ms != 0) {
    // A message that is still arriving is judged by the frame timeout.
    const std::uint32_t idle_ms = inside ? 0 : static_cast<std::uint32_t>(now_ms_) - last_message_ms_[c.slot];
    if (idle_ms >= idle_timeout_ms) return close_websocket(c, static_cast<std::uint16_t>(close_code::going_away), "no message came for too long");
    next = std::min<std::uint64_t>(next, idle_timeout_ms - idle_ms);
  }
  const std::uint32_t ping_interval_ms = ping_interval_of(c);
  const std::uint32_t pong_timeout_ms = c.endpoint != nullptr ? c.endpoint->pong_timeout_ms.value_or(limits.pong_timeout_ms) : limits.pong_timeout_ms;
  if (ping_interval_ms != 0) {
    if (c.pong_awaited && silent_ms >= ping_interval_ms + pong_timeout_ms) return give_up(c, 1006, "the peer is silent");
    if (silent_ms < ping_interval_ms) {
      c.pong_awaited = false;
      next = std::min<std::uint64_t>(next, ping_interval_ms - silent_ms);
    } else {
      if (!c.pong_awaited) {
        c.pong_awaited = true;
        // Behind a backlog a ping would say nothing about the peer; the silence itself is judged.
        if (c.behind == nullptr) send(c, opcode::ping, {});
      }
      // The pong may come at once, and the silence behind it is as long as any other.
      next = std::min<std::uint64_t>({next, ping_interval_ms, ping_interval_ms + pong_timeout_ms - silent_ms});
    }
  }
  if (next != UINT64_MAX) arm_timer(c, next);
}

} // namespace ringcast
