#include "proto/event_stream.hpp"

#include "proto/handshake.hpp"
#include "proto/http_fields.hpp"
#include <ringcast/base64.hpp>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace ringcast {

namespace {

constexpr std::string_view data_field = "data: ", name_field = "event: ", id_field = "id: ", binary_name = "binary", chunk_end = "\r\n";
// A text whose many short lines would grow beyond this goes as binary: what a log holds is counted in 32 bits.
constexpr std::size_t lines_bytes_max = std::size_t{1} << 31;

// Calls visit(line) for each line, at least once. Two searches for one character each, because those are vectorised.
template <class Visit> void for_each_line(std::string_view text, Visit&& visit) {
  while (true) {
    const std::size_t feed = std::min(text.find('\n'), text.size());
    const std::size_t end = std::min(text.substr(0, feed).find('\r'), feed);
    visit(text.substr(0, end));
    if (end == text.size()) return;
    text.remove_prefix(end + (text.substr(end).starts_with("\r\n") ? 2 : 1));
  }
}

std::string_view text_of(std::span<const std::byte> payload) { return {reinterpret_cast<const char*>(payload.data()), payload.size()}; }

std::size_t field_bytes(std::string_view field, std::size_t value_bytes) { return field.size() + value_bytes + 1; }

// How an event is written, and the size of its text.
struct event_shape {
  bool as_binary;
  std::string_view name;
  std::size_t bytes;
};

event_shape shape_of(const stream_event& event) {
  std::size_t lines_bytes = 0;
  if (event.op == opcode::text)
    for_each_line(text_of(event.payload), [&](std::string_view line) { lines_bytes += field_bytes(data_field, line.size()); });
  event_shape shape{.as_binary = event.op != opcode::text || lines_bytes > lines_bytes_max, .name = event.name, .bytes = 1};
  if (shape.as_binary && shape.name.empty()) shape.name = binary_name;
  if (!event.id.empty()) shape.bytes += field_bytes(id_field, event.id.size());
  if (!shape.name.empty()) shape.bytes += field_bytes(name_field, shape.name.size());
  shape.bytes += shape.as_binary ? field_bytes(data_field, base64_encoded_bytes(event.payload.size())) : lines_bytes;
  return shape;
}

constexpr std::size_t hex_digits(std::size_t number) {
  std::size_t digits = 1;
  while (number >>= 4) ++digits;
  return digits;
}

char* write(char* out, std::string_view text) {
  if (!text.empty()) std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

char* write_field(char* out, std::string_view field, std::string_view value) {
  out = write(write(out, field), value);
  *out = '\n';
  return out + 1;
}

// One range of a list of media types, with its parameters.
bool is_wanted_event_stream(std::string_view range) {
  const std::size_t parameters = std::min(range.find(';'), range.size());
  if (!equal_ignoring_case(trim_whitespace(range.substr(0, parameters)), "text/event-stream")) return false;
  for (std::string_view rest = range.substr(parameters); !rest.empty();) {
    rest.remove_prefix(1);
    const std::size_t end = std::min(rest.find(';'), rest.size());
    const std::string_view one = trim_whitespace(rest.substr(0, end));
    rest.remove_prefix(end);
    if (one.size() < 2 || (one[0] != 'q' && one[0] != 'Q') || one[1] != '=') continue;
    return one.substr(2).find_first_not_of("0.") != one.npos;
  }
  return true;
}

} // namespace

std::size_t event_chunk_bytes(const stream_event& event) noexcept {
  const std::size_t bytes = shape_of(event).bytes;
  return hex_digits(bytes) + bytes + 2 * chunk_end.size();
}

std::byte* write_event_chunk(std::byte* out, const stream_event& event) noexcept {
  const event_shape shape = shape_of(event);
  auto* at = reinterpret_cast<char*>(out);
  at = write(std::to_chars(at, at + hex_digits(shape.bytes), shape.bytes, 16).ptr, chunk_end);
  if (!event.id.empty()) at = write_field(at, id_field, event.id);
  if (!shape.name.empty()) at = write_field(at, name_field, shape.name);
  if (shape.as_binary) {
    at = write(at, data_field);
    at += base64_encode(event.payload, at);
    *at++ = '\n';
  } else {
    for_each_line(text_of(event.payload), [&](std::string_view line) { at = write_field(at, data_field, line); });
  }
  *at++ = '\n';
  return reinterpret_cast<std::byte*>(write(at, chunk_end));
}

bool asks_for_event_stream(const request_head& head) noexcept {
  if (head.method != "GET" || is_websocket_upgrade(head)) return false;
  const auto is_none = [](std::string_view range) { return !is_wanted_event_stream(range); };
  return !head.for_each("Accept", [&](std::string_view list) { return for_each_list_element(list, is_none); });
}

} // namespace ringcast
