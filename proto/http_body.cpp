#include "proto/http_body.hpp"

#include "proto/http_scan.hpp"

#include <algorithm>
#include <cstring>

namespace ringcast {

namespace {

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

using http_scan::is;

bool is_space(char c) noexcept { return c == ' ' || c == '\t'; }

// An ordinary chunk-size line is shorter than this: it is free of the bound on overhead.
constexpr std::size_t free_line_bytes = 16;

} // namespace

chunked_result chunked_decoder::decode(std::span<std::byte> bytes) noexcept {
  char* const begin = reinterpret_cast<char*>(bytes.data());
  const char* const end = begin + bytes.size();
  const char* p = begin;
  char* out = begin;
  const auto result = [&](chunked_status status) {
    return chunked_result{.status = status, .consumed = static_cast<std::size_t>(p - begin), .produced = static_cast<std::size_t>(out - begin)};
  };
  const auto refuse = [&](http_status error, std::string_view why) {
    chunked_result refusal = result(chunked_status::bad);
    refusal.error = error;
    refusal.why = why;
    return refusal;
  };

  constexpr std::string_view why_extension = "A chunk extension is not a name, or a name and its value.";
  while (p != end) {
    if (state_ == state::data) {
      const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(chunk_left_, static_cast<std::size_t>(end - p)));
      if (out != p) std::memmove(out, p, take);
      out += take;
      p += take;
      chunk_left_ -= take;
      body_bytes_ += take;
      if (chunk_left_ == 0) state_ = state::data_cr;
      continue;
    }

    const char c = *p++;
    if (state_ <= state::size_lf) {
      if (++line_bytes_ > limits_.line_bytes_max) return refuse(http_status::bad_request, "A chunk-size line is too long.");
      // Many tiny chunks with long extensions would make us read far more than the body's own limit.
      if (line_bytes_ > free_line_bytes && ++overhead_ > limits_.overhead_bytes_max)
        return refuse(http_status::bad_request, "The chunk extensions are too long.");
    } else if (state_ >= state::trailer_start && ++trailer_bytes_ > limits_.trailer_bytes_max) {
      return refuse(http_status::header_fields_too_large, "The trailer fields are too long.");
    }

    switch (state_) {
    case state::size_first:
    case state::size: {
      const int digit = hex_value(c);
      if (digit >= 0) {
        if (chunk_left_ >> 60 != 0) return refuse(http_status::content_too_large, "A chunk is beyond all bounds.");
        chunk_left_ = chunk_left_ << 4 | static_cast<std::uint64_t>(digit);
        state_ = state::size;
        break;
      }
      if (state_ == state::size_first || (c != ';' && c != '\r' && !is_space(c)))
        return refuse(http_status::bad_request, "A chunk size is not a hexadecimal number.");
      [[fallthrough]];
    }
    // RFC 9112 section 7.1.1. White space around the semicolon and the equals sign is "bad white space", which a
    // recipient must accept there; everywhere else two parties could read two different sizes.
    case state::quoted_end:
      if (c == '\r')
        state_ = state::size_lf;
      else if (c == ';')
        state_ = state::name_first;
      else if (is_space(c))
        state_ = state::space_before_extension;
      else
        return refuse(http_status::bad_request, why_extension);
      break;
    case state::space_before_extension:
      if (c == ';')
        state_ = state::name_first;
      else if (!is_space(c))
        return refuse(http_status::bad_request, "White space in a chunk-size line is not followed by an extension.");
      break;
    case state::name_first:
      if (is(c, http_scan::token_byte))
        state_ = state::name;
      else if (!is_space(c))
        return refuse(http_status::bad_request, why_extension);
      break;
    case state::name:
      if (is(c, http_scan::token_byte)) break;
      if (c == '\r')
        state_ = state::size_lf;
      else if (c == ';')
        state_ = state::name_first;
      else if (c == '=')
        state_ = state::value_first;
      else if (is_space(c))
        state_ = state::space_after_name;
      else
        return refuse(http_status::bad_request, why_extension);
      break;
    case state::space_after_name:
      if (c == ';')
        state_ = state::name_first;
      else if (c == '=')
        state_ = state::value_first;
      else if (!is_space(c))
        return refuse(http_status::bad_request, why_extension);
      break;
    case state::value_first:
      if (c == '"')
        state_ = state::quoted;
      else if (is(c, http_scan::token_byte))
        state_ = state::value;
      else if (!is_space(c))
        return refuse(http_status::bad_request, why_extension);
      break;
    case state::value:
      if (is(c, http_scan::token_byte)) break;
      if (c == '\r')
        state_ = state::size_lf;
      else if (c == ';')
        state_ = state::name_first;
      else if (is_space(c))
        state_ = state::space_before_extension;
      else
        return refuse(http_status::bad_request, why_extension);
      break;
    case state::quoted:
      if (c == '"')
        state_ = state::quoted_end;
      else if (c == '\\')
        state_ = state::quoted_pair;
      else if (!is(c, http_scan::quoted_byte))
        return refuse(http_status::bad_request, why_extension);
      break;
    case state::quoted_pair:
      if (!is(c, http_scan::value_byte)) return refuse(http_status::bad_request, why_extension);
      state_ = state::quoted;
      break;
    case state::size_lf:
      if (c != '\n') return refuse(http_status::bad_request, "A chunk-size line does not end with CRLF.");
      line_bytes_ = 0;
      // A sum that cannot overflow: body_bytes_ never exceeds its limit.
      if (chunk_left_ > limits_.body_bytes_max - body_bytes_) return refuse(http_status::content_too_large, "The body is larger than allowed.");
      state_ = chunk_left_ == 0 ? state::trailer_start : state::data;
      break;
    case state::data: break;
    case state::data_cr:
      if (c != '\r') return refuse(http_status::bad_request, "A chunk is longer than its size says.");
      state_ = state::data_lf;
      break;
    case state::data_lf:
      if (c != '\n') return refuse(http_status::bad_request, "A chunk is not followed by CRLF.");
      state_ = state::size_first;
      break;
    case state::trailer_start:
      if (c == '\r') {
        state_ = state::end_lf;
        break;
      }
      if (!is(c, http_scan::token_byte)) return refuse(http_status::bad_request, "A trailer line does not begin with a name.");
      state_ = state::trailer_name;
      break;
    case state::trailer_name:
      if (c == ':')
        state_ = state::trailer;
      else if (!is(c, http_scan::token_byte))
        return refuse(http_status::bad_request, "A trailer line has no colon after a valid name.");
      break;
    case state::trailer:
      if (c == '\r')
        state_ = state::trailer_lf;
      else if (!is(c, http_scan::value_byte))
        return refuse(http_status::bad_request, "A trailer contains a control character.");
      break;
    case state::trailer_lf:
      if (c != '\n') return refuse(http_status::bad_request, "A trailer line does not end with CRLF.");
      state_ = state::trailer_start;
      break;
    case state::end_lf:
      if (c != '\n') return refuse(http_status::bad_request, "The chunked body does not end with CRLF.");
      state_ = state::finished;
      return result(chunked_status::done);
    case state::finished: return refuse(http_status::bad_request, "The body was already complete.");
    }
  }
  return result(chunked_status::need_more);
}

} // namespace ringcast
