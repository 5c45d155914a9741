// Frames, messages and the closing handshake of a shard's WebSocket connections.
#include "engine/base/log.hpp"
#include "engine/shard/shard.hpp"
#include "proto/close_handshake.hpp"
#include "proto/frame_reader.hpp"
#include "proto/frame_writer.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace ringcast {

// The hot loop. Reading a frame and taking it as a message are inlined here, so that neither result goes through memory.
shard::consumed shard::consume_frames(connection& c, std::span<std::byte> bytes) {
  const std::uint64_t message_bytes_max = limits_of(c).message_bytes_max;
  const frame_rules rules = rules_of(c);
  const std::uint64_t delivered_before = budget_.delivered();
  consumed done;
  if (c.answering) { // on_open stands before the first message
    done.stopped = true;
    return done;
  }
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
        budget_.kept(result.value.payload.size());
        parts_stop = budget_.is_spent_on_parts();
      }
    }
    if (result.value.frame_bytes >= large_frame_bytes) read_large_frames_hot(c);
    if (c.phase != connection_phase::websocket || is_input_over(c)) {
      done.bytes = bytes.size();
      return done;
    }
    if (must_stop(c, delivered_before) || parts_stop) [[unlikely]]
      stop_input(c);
    if (c.input_held || c.input_stopped) {
      done.stopped = true;
      break;
    }
  }
  return done;
}

// A text that comes slowly is judged as it comes. What was found out stands with the bytes that wait, whose first frame it is.
bool shard::check_unfinished_text(connection& c, std::span<const std::byte> bytes, const frame_rules& rules, std::uint64_t message_bytes_max) {
  if (c.partial == nullptr) c.partial = std::make_unique<partial_input>();
  const violation broken = c.partial->text.check(bytes, rules, c.assembler, message_bytes_max);
  if (broken != violation::none) on_violation(c, broken);
  return broken == violation::none;
}

assembled shard::take_unfinished(connection& c, const frame& whole, std::uint64_t message_bytes_max) {
  return c.assembler.take(whole, message_bytes_max, std::exchange(c.partial->text, {}));
}

inline void shard::on_message(connection& c, const assembled& m, bool in_receive_buffer) {
  // Once this end has sent its Close frame it waits for the peer's and takes no messages.
  if (!c.is_open_websocket()) return;
  if (m.compressed) [[unlikely]]
    return on_compressed_message(c, m);
  hand_over(c, {.op = m.op, .payload = m.payload, .in_receive_buffer = in_receive_buffer});
  if (!in_receive_buffer) c.assembler.release();
}

void shard::hand_over(connection& c, const message_view& view) {
  if (stopping_) [[unlikely]]
    return; // its Close frame waits for what was said before
  ++counters_.messages;
  budget_.delivered(view.payload.size());
  note_message(c);
  handlers_.message(c, view);
}

void shard::on_fragment_or_control(connection& c, const assembled& m) {
  switch (m.what) {
  case assembled::kind::none: look_within(c, limits_of(c).frame_timeout_ms); return;
  case assembled::kind::control: return on_control(c, m);
  case assembled::kind::violation: return on_violation(c, m.broken);
  case assembled::kind::message: return;
  }
}

void shard::on_control(connection& c, const assembled& m) {
  if (m.op != opcode::close && c.endpoint != nullptr && c.is_open_websocket()) handlers_.control(c, m.op, m.payload);
  switch (m.op) {
  case opcode::ping:
    if (c.endpoint == nullptr || c.endpoint->answers_pings) send(c, opcode::pong, m.payload);
    return;
  case opcode::pong: c.pong_awaited = false; return;
  default: break;
  }
  const auto close = parse_close(m.payload);
  leave_rooms(c);
  const bool ours_first = c.closing.state() == close_state::close_sent;
  if (c.is_client) client_seats_[c.slot].clean = true;
  if (!ours_first) {
    c.close_code = close ? close->code : static_cast<std::uint16_t>(close_code::no_status);
    (void)c.closing.on_close_received();
    tell_closed(c, close ? close->reason : std::string_view{});
    // The answer, and the end, stand behind what its handlers have said and still say.
    return handlers_.note(c, user_event::closing);
  } else {
    (void)c.closing.on_close_received();
    if (c.is_client) {
      if (close) c.close_code = close->code;
      tell_closed(c, close ? close->reason : std::string_view{});
    }
  }
  // A server closes TCP first, a client waits for that (RFC 6455 7.1.1).
  finish(c);
}

void shard::on_violation(connection& c, violation broken) {
  ++counters_.violations;
  const auto code = static_cast<std::uint16_t>(close_code_of(broken));
  log_debug("a peer broke RFC 6455 {}: {}", rfc_section_of(broken), describe(broken));
  c.close_code = code;
  leave_rooms(c);
  tell_closed(c, describe(broken));
  handlers_.note_violation(c, broken);
}

// The peer's Close frame is answered, or the connection failed for a rule that the peer broke.
void shard::say_close(connection& c, violation broken) {
  if (c.phase != connection_phase::websocket) return;
  if (c.is_client)
    if (client_link* const link = client_seats_[c.slot].link; link != nullptr) link->on_ending();
  if (broken != violation::none) {
    if (c.closing.fail() == close_action::send_close) send_close(c, static_cast<std::uint16_t>(close_code_of(broken)), describe(broken));
  } else if (c.closing.state() == close_state::close_received) {
    send_close(c, c.close_code, {});
  }
  (void)c.closing.on_close_written();
  finish(c);
}

void shard::close_websocket(connection& c, std::uint16_t code, std::string_view reason) {
  if (c.phase != connection_phase::websocket || c.closing.begin() != close_action::send_close) return;
  // The member leaves at once: what its rooms say from now on would stand behind the Close frame.
  leave_rooms(c);
  send_close(c, code, reason);
  (void)c.closing.on_close_written();
  c.close_code = code;
  // A client is told when the server has answered.
  if (!c.is_client) tell_closed(c, reason);
  // Its Close frame may stand behind what was put aside; nothing of that is answered any more.
  if (c.input_stopped) stopped_.push_back(handle_of(c));
  if (c.receiving == receive_mode::paused || c.receiving == receive_mode::pausing) resume_receive(c);
  arm_timer(c, limits_of(c).close_timeout_ms);
}

void shard::send_close(connection& c, std::uint16_t code, std::string_view reason) {
  std::byte payload[control_payload_bytes_max];
  const std::size_t bytes = write_close_payload(payload, code, reason);
  if (c.is_client) return append_masked_frame(c, opcode::close, {payload, bytes});
  std::byte* out = outbox_.extend(c, frame_header_bytes(bytes, false) + bytes);
  write_frame(out, opcode::close, {payload, bytes});
}

// Also between a Close frame of the peer and our answer, which stands behind what was said in the same turn (RFC 6455 5.5.1).
bool shard::takes_output(const connection& c) const {
  if (c.phase != connection_phase::websocket) return false;
  return c.closing.may_send() || (c.closing.state() == close_state::close_received && is_untold(c, user_event::closing));
}

send_status shard::send(connection& c, opcode op, std::span<const std::byte> payload) {
  if (!takes_output(c)) return send_status::closed;
  if (c.deflate_bits != 0 && !is_control(op) && payload.size() >= compression_of(c).threshold_to_one()) {
    append_compressible_frame(c, op, payload);
    return c.behind != nullptr && c.behind->own_bytes() > high_watermark_bytes ? send_status::above_watermark : send_status::queued;
  }
  if (c.is_client) {
    append_masked_frame(c, op, payload);
    return c.behind != nullptr && c.behind->own_bytes() > high_watermark_bytes ? send_status::above_watermark : send_status::queued;
  }
  std::byte* out = outbox_.extend(c, frame_header_bytes(payload.size(), false) + payload.size());
  const std::size_t header_bytes = write_frame_header(out, op, payload.size());
  if (!payload.empty()) std::memcpy(out + header_bytes, payload.data(), payload.size());
  return c.behind != nullptr && c.behind->own_bytes() > high_watermark_bytes ? send_status::above_watermark : send_status::queued;
}

// A received frame carried a mask, so there is room for a server's header in front of its payload.
send_status shard::send_in_place(connection& c, const message_view& message) {
  if (message.payload.size() < large_frame_bytes || !message.in_receive_buffer || c.is_client || c.deflate_bits != 0)
    return send(c, message.op, message.payload);
  if (!takes_output(c)) return send_status::closed;
  const std::size_t header_bytes = frame_header_bytes(message.payload.size(), false);
  std::byte* frame_begin = message.payload.data() - header_bytes;
  write_frame_header(frame_begin, message.op, message.payload.size());
  if (!outbox_.send_direct(c, {frame_begin, header_bytes + message.payload.size()})) return send(c, message.op, message.payload);
  return c.behind != nullptr && c.behind->own_bytes() > high_watermark_bytes ? send_status::above_watermark : send_status::queued;
}

send_status shard::publish(connection& c, room_part& r, opcode op, std::span<const std::byte> payload) {
  const membership* seat = room_table::seat_of(c, r);
  if (seat == nullptr || !takes_publications_) return send_status::closed;
  rooms_.publish(
      r, {.room = {r.index, r.generation}, .author = handle_of(c).value, .report_id = 0, .op = op, .author_hears = seat->hears == hearing::everyone},
      payload);
  return send_status::queued;
}

} // namespace ringcast
