#include "engine/shard/connection_watch.hpp"

#include "engine/connection/user_events.hpp"
#include "engine/shard/closer.hpp"
#include "engine/shard/connector.hpp"
#include "engine/shard/http_side.hpp"
#include "engine/shard/rate_gate.hpp"
#include "engine/shard/websocket_side.hpp"

#include <algorithm>
#include <utility>

namespace ringcast::engine {

namespace {

constexpr std::uint64_t never = UINT64_MAX;
constexpr std::nullopt_t closed = std::nullopt;

// Whether a request's head is there and its body is on its way.
bool is_inside_body(const connection& c) { return c.partial != nullptr && (c.partial->body != nullptr || c.partial->wanted > c.partial->size + 1); }

// Where the progress of the message under way is noted: with its fragments, which outlive the frames, or with the frame that is cut. Null where
// none is demanded.
message_progress* progress_of(connection& c) {
  if (c.partial == nullptr && c.assembler.arrived_bytes() < large_frame_bytes) return nullptr;
  if (message_progress* of_message = c.assembler.progress()) return of_message;
  return c.partial != nullptr ? &c.partial->progress : nullptr;
}

} // namespace

void connection_watch::begin(connection& c) {
  with_.rates.begin(c);
  const std::uint32_t ping_interval_ms = with_.rules.ping_interval_of(c), idle_timeout_ms = with_.rules.idle_timeout_of(c);
  if (idle_timeout_ms != 0) begin_idle_time(c);
  // The earlier of the two; subtracting one puts "never" behind every other.
  if (const std::uint32_t first_ms = std::min(ping_interval_ms - 1, idle_timeout_ms - 1) + 1; first_ms != 0)
    with_.timers.arm(c, first_ms);
  else
    with_.timers.cancel(c);
}

void connection_watch::close_after(connection& c, std::uint64_t time_ms, std::uint16_t code, std::string_view reason) {
  if (!c.is_open_websocket()) return;
  planned_.insert_or_assign(c.slot, planned_close{.at_ms = with_.clock.ms + time_ms, .code = code, .reason = std::string{reason}});
  with_.timers.look_within(c, time_ms);
}

void connection_watch::begin_idle_time(const connection& c) {
  if (last_message_ms_.size() <= c.slot) last_message_ms_.resize(c.slot + 1);
  note_message(c);
}

void connection_watch::on_changed_limits(connection& c) {
  if (c.is_client || !c.is_open_websocket()) return;
  with_.rates.begin(c);
  if (with_.rules.idle_timeout_of(c) != 0) begin_idle_time(c);
  with_.timers.look_within(c, 0);
}

// One timer a connection, armed lazily: it is not moved when bytes arrive, but looks at the last arrival when it expires.
void connection_watch::on_timer(connection& c) {
  switch (c.phase) {
  case connection_phase::free:
  case connection_phase::ending: return;
  case connection_phase::http: return look_at_request(c);
  case connection_phase::connecting:
  case connection_phase::upgrading: return with_.connecting.on_timer(c);
  case connection_phase::finishing:
    if (with_.closing.is_draining(c)) return with_.timers.arm(c, linger_ms);
    return with_.closing.give_up(c, c.close_code, "the peer did not close");
  case connection_phase::websocket: return look_at_websocket(c);
  }
}

void connection_watch::look_at_request(connection& c) {
  const std::uint32_t timeout_ms = with_.limits.handshake_timeout_ms;
  if (c.answering && with_.http.is_awaiting_output(c) && silent_ms(c) >= timeout_ms) return with_.closing.give_up(c, c.close_code, {});
  if (c.answering) return with_.timers.arm(c, timeout_ms);
  if (c.input_stopped) {
    // Its requests wait for it to take the answers of those before.
    if (silent_ms(c) < timeout_ms) return with_.timers.arm(c, timeout_ms - silent_ms(c));
    return with_.closing.finish(c);
  }
  if (is_inside_body(c)) {
    const std::uint64_t before = std::exchange(c.partial->progress.bytes, c.partial->size);
    if ((c.partial->size - before) * 1000 >= std::uint64_t{progress_bytes_per_s_min} * timeout_ms) return with_.timers.arm(c, timeout_ms);
  }
  if (c.partial != nullptr)
    with_.http.refuse_request(c, http_status::request_timeout, "the request took too long");
  else
    with_.closing.finish(c);
}

void connection_watch::look_at_websocket(connection& c) {
  if (is_untold(c, user_event::closing)) return; // the answer is on its way
  if (c.closing.state() != close_state::open) return with_.closing.give_up(c, c.close_code, "the closing handshake was not answered");
  const std::uint32_t frame_timeout_ms = with_.rules.limits_of(c).frame_timeout_ms;
  const next_look planned = look_at_planned_close(c);
  if (!planned) return;
  const bool is_read = !c.input_held && !with_.rates.is_paused(c);
  const std::uint64_t rates_in_ms = with_.rates.look(c);
  if (!is_read) {
    // Its silence is ours: what it says is not read now.
    c.last_heard_ms = now_ms();
    note_message(c);
    if (message_progress* progress = progress_of(c)) progress->at_ms = 0;
    return with_.timers.arm(c, std::min<std::uint64_t>({*planned, rates_in_ms, frame_timeout_ms}));
  }
  const bool inside = !c.input_stopped && (c.partial != nullptr || c.assembler.is_inside_message());
  // Whatever closes the connection here has armed its timer anew, or ended it.
  const next_look unfinished = inside ? look_at_unfinished(c, frame_timeout_ms) : never;
  if (!unfinished) return;
  const next_look idle = look_at_idle(c, inside);
  if (!idle) return;
  const next_look silence = look_at_silence(c);
  if (!silence) return;
  const std::uint64_t next_in_ms = std::min({*planned, rates_in_ms, *unfinished, *idle, *silence});
  if (next_in_ms != never) with_.timers.arm(c, next_in_ms);
}

connection_watch::next_look connection_watch::look_at_planned_close(connection& c) {
  const auto found = planned_.find(c.slot);
  if (found == planned_.end()) return never;
  if (with_.clock.ms < found->second.at_ms) return found->second.at_ms - with_.clock.ms;
  const planned_close now = std::move(found->second);
  planned_.erase(found);
  with_.websockets.close(c, now.code, now.reason);
  return closed;
}

connection_watch::next_look connection_watch::look_at_unfinished(connection& c, std::uint32_t frame_timeout_ms) {
  constexpr auto code = static_cast<std::uint16_t>(close_code::policy_violation);
  if (silent_ms(c) >= frame_timeout_ms) {
    with_.websockets.close(c, code, "silence in the middle of a message");
    return closed;
  }
  const std::uint64_t silence_in_ms = frame_timeout_ms - silent_ms(c);
  message_progress* const progress = progress_of(c);
  if (progress == nullptr) return silence_in_ms;
  const std::uint64_t arrived = c.assembler.arrived_bytes() + (c.partial != nullptr ? c.partial->size : 0);
  if (!makes_progress(c, *progress, arrived, frame_timeout_ms)) {
    with_.websockets.close(c, code, "a message comes too slowly");
    return closed;
  }
  const std::uint32_t looked_ms = now_ms() - progress->at_ms;
  return std::min<std::uint64_t>(silence_in_ms, looked_ms < frame_timeout_ms ? frame_timeout_ms - looked_ms : 1);
}

connection_watch::next_look connection_watch::look_at_idle(connection& c, bool inside) {
  const std::uint32_t idle_timeout_ms = with_.rules.idle_timeout_of(c);
  if (idle_timeout_ms == 0) return never;
  // A message that is still arriving is judged by the frame timeout.
  const std::uint32_t idle_ms = inside ? 0 : now_ms() - last_message_ms_[c.slot];
  if (idle_ms < idle_timeout_ms) return idle_timeout_ms - idle_ms;
  with_.websockets.close(c, static_cast<std::uint16_t>(close_code::going_away), "no message came for too long");
  return closed;
}

connection_watch::next_look connection_watch::look_at_silence(connection& c) {
  const std::uint32_t ping_interval_ms = with_.rules.ping_interval_of(c), pong_timeout_ms = with_.rules.pong_timeout_of(c);
  if (ping_interval_ms == 0) return never;
  if (c.pong_awaited && silent_ms(c) >= ping_interval_ms + pong_timeout_ms) {
    with_.closing.give_up(c, 1006, "the peer is silent");
    return closed;
  }
  if (c.event_stream) {
    // TCP says whether the peer is there (TCP_USER_TIMEOUT). What waits is as good as a comment.
    if (c.behind == nullptr) with_.websockets.send(c, opcode::ping, {});
    return ping_interval_ms;
  }
  if (silent_ms(c) < ping_interval_ms) {
    c.pong_awaited = false;
    return ping_interval_ms - silent_ms(c);
  }
  if (!c.pong_awaited) {
    c.pong_awaited = true;
    // Behind a backlog a ping would say nothing about the peer; the silence itself is judged.
    if (c.behind == nullptr) with_.websockets.send(c, opcode::ping, {});
  }
  // The pong may come at once, and the silence behind it is as long as any other.
  return std::min<std::uint64_t>(ping_interval_ms, ping_interval_ms + pong_timeout_ms - silent_ms(c));
}

// A peer that we do not read, because it does not take its answers, is not asked.
bool connection_watch::makes_progress(const connection& c, message_progress& before, std::uint64_t arrived, std::uint32_t over_ms) const {
  const std::uint32_t now = static_cast<std::uint32_t>(with_.clock.ms | 1); // 0 says that nobody has looked
  const bool is_read = c.receiving != receive_mode::paused && c.receiving != receive_mode::pausing;
  if (before.at_ms != 0 && is_read) {
    const std::uint32_t passed_ms = now - before.at_ms;
    if (passed_ms < over_ms) return true;
    if ((arrived - before.bytes) * 1000 < std::uint64_t{progress_bytes_per_s_min} * passed_ms) return false;
  }
  before = {.bytes = arrived, .at_ms = now};
  return true;
}

} // namespace ringcast::engine
