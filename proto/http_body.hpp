// The chunked transfer coding (RFC 9112 section 7.1), decoded in place as the bytes arrive. A body with a
// Content-Length needs no decoder: count the bytes.
#pragma once

#include <ringcast/http_status.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace ringcast {

struct chunked_limits {
  std::uint64_t body_bytes_max = 1 << 20; ///< of decoded content; more is refused with 413
  std::size_t line_bytes_max = 256;       ///< of one chunk-size line with its extensions, which are checked and skipped
  std::size_t trailer_bytes_max = 4096;   ///< of all trailer fields together, which are checked and skipped
  std::size_t overhead_bytes_max = 1 << 16; ///< of all chunk-size lines together, beyond a free allowance of 16 bytes a chunk
};

enum class chunked_status : std::uint8_t {
  need_more, ///< everything given was consumed, the body goes on
  done,      ///< the last chunk and the trailers were consumed; what follows is the next request
  bad,       ///< refused: answer with `error` and `why`, then close
};

struct chunked_result {
  chunked_status status = chunked_status::need_more;
  std::size_t consumed = 0;            ///< bytes of the input that belong to the body; all of them unless done
  std::size_t produced = 0;            ///< decoded content: these many bytes now stand at the front of the input
  http_status error = http_status::ok; ///< when bad
  std::string_view why;                ///< when bad: one sentence, of static storage
};

/// Decodes one body. Holds a few words of state and no bytes of the body, so it may live in a connection.
class chunked_decoder {
 public:
  explicit chunked_decoder(const chunked_limits& limits = {}) noexcept : limits_{limits} {}

  /// Takes the next bytes of the body, however they were split, and moves the decoded content to the front of `bytes`.
  /// After done or bad the decoder must not be used again.
  [[nodiscard]] chunked_result decode(std::span<std::byte> bytes) noexcept;

  /// Decoded content so far, in bytes.
  [[nodiscard]] std::uint64_t body_bytes() const noexcept { return body_bytes_; }

 private:
  enum class state : std::uint8_t {
    size_first,
    size,
    space_before_extension, // only white space so far: an extension must follow
    name_first,
    name,
    space_after_name,
    value_first,
    value,
    quoted,
    quoted_pair,
    quoted_end,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer_start,
    trailer_name,
    trailer,
    trailer_lf,
    end_lf,
    finished
  };

  chunked_limits limits_;
  std::uint64_t body_bytes_ = 0;
  std::uint64_t chunk_left_ = 0;
  std::uint64_t overhead_ = 0;
  std::size_t line_bytes_ = 0;
  std::size_t trailer_bytes_ = 0;
  state state_ = state::size_first;
};

} // namespace ringcast
