#include "engine/shard/websocket_side.hpp"

#include "engine/base/log.hpp"
#include "engine/connection/user_events.hpp"
#include "engine/shard/closer.hpp"
#include "engine/shard/connection_watch.hpp"
#include "engine/shard/input_flow.hpp"
#include "engine/shard/message_compression.hpp"
#include "engine/shard/rate_gate.hpp"
#include "engine/shard/socket_reader.hpp"
#include "proto/close_handshake.hpp"

#include <utility>

namespace ringcast::engine {

inline void websocket_side::hand_over(connection& c, const message_view& view) {
  if (with_.stop.is_stopping) [[unlikely]]
    return; // its Close frame waits for what was said before
  if (view.is_last) {
    ++with_.counters.messages_received;
    ++with_.connections.traffic_of(c).messages_in;
  }
  with_.budget.delivered(view.payload.size());
  with_.watch.note_message(c);
  if (with_.rates.knows(c)) [[unlikely]]
    if (!with_.rates.admit(c, view)) return;
  with_.users.message(c, view);
}

// The hot loop. Reading a frame and taking it as a message are inlined here, so that neither result goes through memory.
consumed websocket_side::consume_frames(connection& c, std::span<std::byte> bytes) {
  const std::uint64_t message_bytes_max = with_.rules.message_bytes_max_of(c);
  const frame_rules rules = with_.rules.frame_rules_of(c);
  const std::uint64_t delivered_before = with_.budget.delivered();
  consumed done;
  if (c.answering) { // on_open stands before the first message
    done.stopped = true;
    return done;
  }
  if (c.event_stream) [[unlikely]] { // nothing is asked of it any more
    with_.budget.kept(bytes.size());
    done.bytes = bytes.size();
    return done;
  }
  if (c.endpoint != nullptr && c.endpoint->in_parts) [[unlikely]]
    return consume_parts(c, bytes);
  bool was_unfinished = c.partial != nullptr && c.partial->text.checked_bytes() != 0;
  while (done.bytes < bytes.size()) {
    const frame_result result = read_frame(bytes.subspan(done.bytes), rules);
    if (result.status == read_status::need_more) {
      const std::span<const std::byte> rest = bytes.subspan(done.bytes);
      done.wanted = result.frame_bytes_wanted != 0 ? result.frame_bytes_wanted : rest.size() + 1;
      if (!check_unfinished_text(c, rest, rules, message_bytes_max)) done.bytes = bytes.size();
      break;
    }
    if (result.status == read_status::violation) {
      on_violation(c, result.broken);
      done.bytes = bytes.size();
      break;
    }
    done.bytes += result.value.frame_bytes;
    const assembled m = was_unfinished ? take_unfinished(c, result.value, message_bytes_max) : c.assembler.take(result.value, message_bytes_max);
    was_unfinished = false;
    bool parts_stop = false;
    if (m.what == assembled::kind::message) [[likely]] {
      on_message(c, m, m.payload.data() == result.value.payload.data());
    } else {
      on_fragment_or_control(c, m);
      if (m.what == assembled::kind::none) {
        with_.budget.kept(result.value.payload.size());
        parts_stop = with_.budget.is_spent_on_parts();
      }
    }
    if (result.value.frame_bytes >= large_frame_bytes) with_.receiving.read_large_frames_hot(c);
    if (c.phase != connection_phase::websocket || is_input_over(c)) {
      done.bytes = bytes.size();
      return done;
    }
    if (with_.share.must_stop(c, delivered_before) || parts_stop) [[unlikely]]
      with_.input.stop(c);
    if (c.input_held || c.input_stopped) {
      done.stopped = true;
      break;
    }
  }
  return done;
}

// What was found out stands with the bytes that wait, whose first frame it is.
bool websocket_side::check_unfinished_text(connection& c, std::span<const std::byte> bytes, const frame_rules& rules,
                                           std::uint64_t message_bytes_max) {
  if (c.partial == nullptr) c.partial = std::make_unique<partial_input>();
  const violation broken = c.partial->text.check(bytes, rules, c.assembler, message_bytes_max);
  if (broken != violation::none) on_violation(c, broken);
  return broken == violation::none;
}

assembled websocket_side::take_unfinished(connection& c, const frame& whole, std::uint64_t message_bytes_max) {
  return c.assembler.take(whole, message_bytes_max, std::exchange(c.partial->text, {}));
}

inline void websocket_side::on_message(connection& c, const assembled& m, bool in_receive_buffer) {
  // Once this end has sent its Close frame it waits for the peer's and takes no messages.
  if (!c.is_open_websocket()) return;
  if (m.compressed) [[unlikely]]
    return on_compressed_message(c, m);
  hand_over(c, {.op = m.op, .payload = m.payload, .in_receive_buffer = in_receive_buffer});
  if (!in_receive_buffer) c.assembler.release();
}

void websocket_side::on_compressed_message(connection& c, const assembled& m) {
  const violation broken = with_.compression.inflate(c, m);
  if (broken == violation::none)
    hand_over(c, {.op = m.op, .payload = with_.compression.inflated()});
  else
    on_violation(c, broken);
  with_.compression.release_inflated();
}

void websocket_side::hand_over_part(connection& c, const message_view& part) { hand_over(c, part); }

void websocket_side::on_fragment_or_control(connection& c, const assembled& m) {
  switch (m.what) {
  case assembled::kind::none: with_.timers.look_within(c, with_.rules.limits_of(c).frame_timeout_ms); return;
  case assembled::kind::control: return on_control(c, m);
  case assembled::kind::violation: return on_violation(c, m.broken);
  case assembled::kind::message: return;
  }
}

void websocket_side::on_control(connection& c, const assembled& m) {
  if (m.op != opcode::close && c.endpoint != nullptr && c.is_open_websocket()) with_.users.control(c, m.op, m.payload);
  switch (m.op) {
  case opcode::ping:
    if (c.endpoint == nullptr || c.endpoint->answers_pings) send(c, opcode::pong, m.payload);
    return;
  case opcode::pong:
    c.pong_awaited = false;
    with_.connections.times_of(c).pong_s = with_.clock.seconds();
    return;
  default: return on_close_frame(c, m.payload);
  }
}

void websocket_side::on_close_frame(connection& c, std::span<const std::byte> payload) {
  const auto close = parse_close(payload);
  with_.closing.leave_rooms(c);
  const bool ours_first = c.closing.state() == close_state::close_sent;
  if (c.is_client) with_.seats[c].clean = true;
  if (!ours_first) {
    c.close_code = close ? close->code : static_cast<std::uint16_t>(close_code::no_status);
    (void)c.closing.on_close_received();
    with_.closing.tell_closed(c, close ? close->reason : std::string_view{});
    // The answer, and the end, stand behind what its handlers have said and still say.
    return with_.users.note(c, user_event::closing);
  }
  (void)c.closing.on_close_received();
  if (c.is_client) {
    if (close) c.close_code = close->code;
    with_.closing.tell_closed(c, close ? close->reason : std::string_view{});
  }
  // A server closes TCP first, a client waits for that (RFC 6455 7.1.1).
  with_.closing.finish(c);
}

void websocket_side::on_violation(connection& c, violation broken) {
  ++with_.counters.violations[static_cast<std::size_t>(broken) - 1];
  const auto code = static_cast<std::uint16_t>(close_code_of(broken));
  log_debug("a peer broke RFC 6455 {}: {}", rfc_section_of(broken), describe(broken));
  c.close_code = code;
  with_.closing.leave_rooms(c);
  with_.closing.tell_closed(c, describe(broken));
  with_.users.note_violation(c, broken);
}

void websocket_side::say_close(connection& c, violation broken) {
  if (c.phase != connection_phase::websocket) return;
  if (c.is_client)
    if (client_link* const link = with_.seats[c].link; link != nullptr) link->on_ending();
  if (broken != violation::none) {
    if (c.closing.fail() == close_action::send_close) append_close(c, static_cast<std::uint16_t>(close_code_of(broken)), describe(broken));
  } else if (c.closing.state() == close_state::close_received) {
    append_close(c, c.close_code, {});
  }
  (void)c.closing.on_close_written();
  with_.closing.finish(c);
}

} // namespace ringcast::engine
