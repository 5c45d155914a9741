// Server-sent events (WHATWG HTML 9.2) as chunks of an HTTP/1.1 body (RFC 9112 7.1): what an event stream sends in place of frames. One event
// is one chunk.
#pragma once

#include "proto/http_head.hpp"
#include <ringcast/opcode.hpp>

#include <cstddef>
#include <span>
#include <string_view>

namespace ringcast {

struct stream_event {
  std::string_view name; // empty: "message", what EventSource.onmessage hears
  std::string_view id;   // becomes Last-Event-ID; empty: that stays what it was
  opcode op = opcode::text;
  std::span<const std::byte>
      payload; // text: a line ends with CR, LF or both, and is heard as LF; binary: base64, and "binary" where there is no name
};

// The end of the body: no chunk is behind it.
inline constexpr std::string_view last_chunk = "0\r\n\r\n";
// An event that nobody hears: it keeps proxies from closing a silent stream.
inline constexpr std::string_view comment_chunk = "3\r\n:\n\n\r\n";

// Exactly what write_event_chunk() writes. Reads the payload once.
[[nodiscard]] std::size_t event_chunk_bytes(const stream_event& event) noexcept;
// Answers the end of what was written.
std::byte* write_event_chunk(std::byte* out, const stream_event& event) noexcept;

// Whether a GET asks for an event stream and not for a WebSocket: Accept names text/event-stream, and not with q=0 (RFC 9110 12.5.1).
[[nodiscard]] bool asks_for_event_stream(const request_head& head) noexcept;

} // namespace ringcast
