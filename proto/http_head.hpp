// Request and response heads of HTTP/1.0 and HTTP/1.1 (RFC 9112), parsed in place. No copy, no allocation, no I/O.
//
// A head is everything up to and including the empty line. The parser is strict where laxness lets two parties see two
// different messages in the same bytes (request smuggling): line ends are CRLF, a line folded onto the next one is
// refused, the length of the body has exactly one meaning. Lines are judged when they are complete, so a head that
// arrives in pieces gets the same verdict as one that arrives whole.
#pragma once

#include "proto/http_fields.hpp"
#include <ringcast/http_status.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace ringcast {

/// What a peer may make us hold and look at before it has said anything useful. One more than a limit is refused.
struct http_limits {
  std::size_t head_bytes_max = 16384;                   ///< the whole head with its last empty line
  std::size_t line_bytes_max = 8192;                    ///< one line with its CRLF
  std::size_t header_count_max = http_fields::capacity; ///< at most http_fields::capacity, a larger value means that
};

struct request_head : http_fields {
  std::string_view text;   ///< the head itself: from its method to its last empty line, without one that stood before it
  std::string_view method; ///< a token, case matters ("GET")
  std::string_view target; ///< as in the request line
  std::string_view path; ///< of the target, still percent-encoded; starts with '/' (empty for CONNECT, "*" for OPTIONS *)
  std::string_view query;         ///< of the target, without the '?', still percent-encoded
  std::string_view host;          ///< of an absolute target, else the Host field; "name:port" as received
  std::uint8_t minor_version = 1; ///< 0 or 1; that of a later HTTP/1.x is 1, as it is to be read (RFC 9112 section 2.3)
  std::size_t head_bytes = 0; ///< how many bytes of the input the head is; the body or the next request starts there
  std::optional<std::uint64_t> content_length;
  bool chunked = false;   ///< the body is in chunks (http_body.hpp); then there is no content_length
  bool keep_alive = true; ///< the connection may carry another request after this one (RFC 9112 section 9.3)
};

struct response_head : http_fields {
  std::uint16_t status_code = 0; ///< 100 to 999
  std::string_view reason;       ///< may be empty
  std::uint8_t minor_version = 1;
  std::size_t head_bytes = 0;
  std::optional<std::uint64_t> content_length;
  bool chunked = false;
  bool keep_alive = true;

  [[nodiscard]] http_status status() const noexcept { return static_cast<http_status>(status_code); }
  /// 100 Continue, 103 Early Hints and the like: another head follows (RFC 9110 section 15.2). 101 is final here.
  [[nodiscard]] bool is_interim() const noexcept { return status_code < 200 && status_code != 101; }
};

enum class head_status : std::uint8_t {
  done,      ///< `out` is filled, its views point into the input
  need_more, ///< the head is not complete; nothing was consumed and `out` means nothing
  bad,       ///< refused: answer with `error` and `why`, then close
};

struct head_result {
  head_status status = head_status::need_more;
  http_status error = http_status::ok; ///< when bad: the status to answer with (for a response head always 502)
  std::string_view why;                ///< when bad: one sentence, of static storage
};

/// What the last call that said need_more had already seen, so that a head that trickles in byte by byte is not scanned
/// again for each byte: it is only parsed again when a line became complete. Start with {} for each head. Offsets, not
/// pointers: the bytes may have moved to another buffer in between.
struct head_progress {
  std::size_t scanned = 0;    ///< bytes of the input that were there
  std::size_t line_start = 0; ///< where its last, unfinished line begins
};

/// Parses one request head from the start of `input`, which may be longer than the head. need_more consumes nothing:
/// call again with the same bytes and more, from the start. `out` is overwritten; the same object may be used again and
/// again. One empty line before the request line is skipped and counted in head_bytes (RFC 9112 section 2.2). Never
/// reads past the end of the input. Any thread; no state but `progress`.
///
/// Refusals: 400 malformed, which a body whose last transfer coding is not "chunked" is, too; 414 request line too
/// long; 431 header line too long, too many headers, head too large; 501 another transfer coding before "chunked"; 505
/// another major version than 1.
[[nodiscard]] head_result parse_request_head(std::span<const std::byte> input, const http_limits& limits, request_head& out,
                                             head_progress* progress = nullptr) noexcept;

/// The same for the head of a response, for clients.
[[nodiscard]] head_result parse_response_head(std::span<const std::byte> input, const http_limits& limits, response_head& out,
                                              head_progress* progress = nullptr) noexcept;

} // namespace ringcast
