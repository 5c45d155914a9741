#include "engine/shard/websocket_side.hpp"

#include "engine/connection/user_events.hpp"
#include "engine/shard/closer.hpp"
#include "engine/shard/input_flow.hpp"
#include "engine/shard/message_compression.hpp"
#include "engine/shard/socket_reader.hpp"
#include "proto/frame_writer.hpp"
#include <ringcast/events.hpp>

#include <cstring>
#include <fmt/format.h>
#include <string>

namespace ringcast::engine {

namespace {

send_status status_of(const connection& c) {
  return c.behind != nullptr && c.behind->own_bytes() > high_watermark_bytes ? send_status::above_watermark : send_status::queued;
}

} // namespace

// Also between a Close frame of the peer and our answer, which stands behind what was said in the same turn (RFC 6455 5.5.1).
bool websocket_side::takes_output(const connection& c) const {
  if (c.phase != connection_phase::websocket) return false;
  return c.closing.may_send() || (c.closing.state() == close_state::close_received && is_untold(c, user_event::closing));
}

send_status websocket_side::may_send_message(const connection& c) const {
  if (!takes_output(c)) return send_status::closed;
  return c.message_open ? send_status::in_message : send_status::queued;
}

send_status websocket_side::send(connection& c, opcode op, std::span<const std::byte> payload) {
  if (!is_control(op)) {
    if (const send_status may = may_send_message(c); may != send_status::queued) return may;
    ++with_.counters.messages_sent;
    ++with_.connections.traffic_of(c).messages_out;
  } else if (!takes_output(c)) {
    return send_status::closed;
  }
  if (with_.compression.deflates(c, op, payload.size()))
    with_.compression.append_frame(c, op, payload);
  else if (c.is_client)
    append_masked_frame(c, op, payload);
  else
    append_frame(c, op, payload);
  return status_of(c);
}

bool websocket_side::begin_message(connection& c) {
  if (may_send_message(c) != send_status::queued || c.memberships != nullptr || c.event_stream || c.is_client) return false;
  c.message_open = true;
  return true;
}

send_status websocket_side::send_fragment(connection& c, opcode op, std::span<const std::byte> payload, bool is_last) {
  if (!takes_output(c)) return send_status::closed;
  std::byte* const out = with_.output.extend(c, frame_header_bytes(payload.size(), false) + payload.size());
  const std::size_t header_bytes = write_frame_header(out, op, payload.size(), is_last);
  if (!payload.empty()) std::memcpy(out + header_bytes, payload.data(), payload.size());
  if (is_last) {
    c.message_open = false;
    ++with_.counters.messages_sent;
    ++with_.connections.traffic_of(c).messages_out;
  }
  return status_of(c);
}

send_status websocket_side::send_event(connection& c, const stream_event& event) {
  if (!c.event_stream || !takes_output(c)) return send_status::closed;
  append_event(c, event);
  return status_of(c);
}

// A received frame carried a mask, so there is room for a server's header in front of its payload.
send_status websocket_side::send_in_place(connection& c, const message_view& message) {
  if (message.payload.size() < large_frame_bytes || !message.in_receive_buffer || c.is_client || c.deflate_bits != 0)
    return send(c, message.op, message.payload);
  if (const send_status may = may_send_message(c); may != send_status::queued) return may;
  const std::size_t header_bytes = frame_header_bytes(message.payload.size(), false);
  std::byte* frame_begin = message.payload.data() - header_bytes;
  write_frame_header(frame_begin, message.op, message.payload.size());
  if (!with_.output.send_direct(c, {frame_begin, header_bytes + message.payload.size()})) return send(c, message.op, message.payload);
  ++with_.counters.messages_sent;
  ++with_.connections.traffic_of(c).messages_out;
  return status_of(c);
}

send_status websocket_side::publish(connection& c, room_part& r, opcode op, std::span<const std::byte> payload) {
  membership* seat = room_table::seat_of(c, r);
  if (seat == nullptr || !with_.stop.takes_publications) return send_status::closed;
  if (payload.size() > r.rules->message_bytes_max) return send_status::too_large;
  if (seat->hears == hearing::others) ++seat->unheard;
  with_.rooms.publish(r,
                      {.room = {r.index, r.generation},
                       .author = with_.connections.handle_of(c).value,
                       .report_id = 0,
                       .op = op,
                       .author_hears = seat->hears == hearing::everyone},
                      payload);
  return send_status::queued;
}

void websocket_side::close(connection& c, std::uint16_t code, std::string_view reason) {
  if (c.phase != connection_phase::websocket || c.closing.begin() != close_action::send_close) return;
  // The member leaves at once: what its rooms say from now on would stand behind the Close frame.
  with_.closing.leave_rooms(c);
  append_close(c, code, reason);
  (void)c.closing.on_close_written();
  c.close_code = code;
  // A client is told when the server has answered.
  if (!c.is_client) with_.closing.tell_closed(c, reason);
  if (c.event_stream) return with_.closing.finish(c);
  // Its Close frame may stand behind what was put aside; nothing of that is answered any more.
  if (c.input_stopped) with_.input.look_again(c);
  if (c.receiving == receive_mode::paused || c.receiving == receive_mode::pausing) with_.receiving.resume(c);
  with_.timers.arm(c, with_.rules.limits_of(c).close_timeout_ms);
}

void websocket_side::fail(connection& c, std::uint16_t code, std::string_view reason) {
  if (c.closing.fail() == close_action::send_close) {
    append_close(c, code, reason);
    (void)c.closing.on_close_written();
  }
  c.close_code = code;
  with_.closing.leave_rooms(c);
  with_.closing.tell_closed(c, reason);
  with_.closing.finish(c);
}

void websocket_side::append_close(connection& c, std::uint16_t code, std::string_view reason) {
  std::byte payload[control_payload_bytes_max];
  if (c.event_stream) return append_stream_end(c, code, reason);
  const std::size_t bytes = write_close_payload(payload, code, reason);
  if (c.is_client) return append_masked_frame(c, opcode::close, {payload, bytes});
  append_frame(c, opcode::close, {payload, bytes});
}

// EventSource comes back by itself, with the id of the last event that it has heard (WHATWG HTML 9.2.3); "close" says why it has to.
void websocket_side::append_stream_end(connection& c, std::uint16_t code, std::string_view reason) {
  std::string json = fmt::format("{{\"code\":{},\"reason\":", code);
  append_json_string(json, reason);
  json += '}';
  append_event(c, {.name = "close", .id = {}, .payload = std::as_bytes(std::span{json})});
  with_.output.append_text(c, last_chunk);
}

void websocket_side::append_event(connection& c, const stream_event& event) {
  write_event_chunk(with_.output.extend(c, event_chunk_bytes(event)), event);
}

// A ping asks for an answer; an event stream has none, and is only kept from being silent.
void websocket_side::append_frame(connection& c, opcode op, std::span<const std::byte> payload) {
  if (c.event_stream) [[unlikely]]
    return is_control(op) ? with_.output.append_text(c, comment_chunk) : append_event(c, {.name = {}, .id = {}, .op = op, .payload = payload});
  std::byte* out = with_.output.extend(c, frame_header_bytes(payload.size(), false) + payload.size());
  const std::size_t header_bytes = write_frame_header(out, op, payload.size());
  if (!payload.empty()) std::memcpy(out + header_bytes, payload.data(), payload.size());
}

// RFC 6455 5.3: each frame has a key of its own.
void websocket_side::append_masked_frame(connection& c, opcode op, std::span<const std::byte> payload) {
  std::byte* out = with_.output.extend(c, frame_bytes(payload.size(), true));
  write_masked_frame(out, op, payload, with_.clients->keys().next());
}

} // namespace ringcast::engine
