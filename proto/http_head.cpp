#include "proto/http_head.hpp"

#include "proto/authority.hpp"
#include "proto/http_scan.hpp"

#include <algorithm>
#include <cstring>

namespace ringcast {

namespace {

using http_scan::is;

// One pass over the lines of a head. The order of the checks is what makes the verdict independent of how the bytes
// were split: a line is measured first, then waited for until its LF is there, then judged.
class head_parser {
 public:
  head_parser(std::span<const std::byte> input, const http_limits& limits, head_progress* progress) noexcept
      : begin_{reinterpret_cast<const char*>(input.data())}, end_{begin_ + input.size()}, p_{begin_}, line_{begin_}, limits_{limits},
        progress_{progress} {}

  head_result parse(request_head& out) noexcept;
  head_result parse(response_head& out) noexcept;

 private:
  // Each step returns true when it succeeded; otherwise result_ says why not.
  bool skip_empty_line() noexcept;
  bool worth_a_look() noexcept;
  bool request_line(request_head& out) noexcept;
  bool request_target(request_head& out) noexcept;
  bool status_line(response_head& out) noexcept;
  bool version(std::uint8_t& minor) noexcept;
  template <class Head> bool header_lines(Head& out) noexcept;
  template <class Head> bool framing_field(Head& out, const http_header& field) noexcept;
  void note_codings(std::string_view list) noexcept;
  template <class Head> bool framing(Head& out) noexcept;

  bool finish_line(const char* cr, std::string_view why_not_there) noexcept;
  bool wait() noexcept;
  bool wait_or_refuse(http_status error, std::string_view why) noexcept;
  bool refuse(http_status error, std::string_view why) noexcept;
  bool refuse_length() noexcept;
  [[nodiscard]] const char* line_limit() const noexcept;

  const char* begin_;
  const char* end_;
  const char* p_;    // the next byte to look at
  const char* line_; // where the current line begins
  const http_limits& limits_;
  head_progress* progress_;
  head_result result_;
  std::string_view host_;
  bool first_line_ = true;
  bool is_request_ = true;
  bool host_seen_ = false;
  bool length_seen_ = false;
  bool coding_seen_ = false;
  // Of all Transfer-Encoding fields together, which are one list (RFC 9110 section 5.3).
  bool last_coding_is_chunked_ = false;
  bool coding_before_last_is_chunked_ = false;
  bool coding_before_last_is_unknown_ = false;
  bool coding_is_missing_ = false; // between two commas, or beside one
  bool said_close_ = false;
  bool said_keep_alive_ = false;
};

constexpr std::string_view why_bare_cr = "A carriage return stands without its line feed.";
constexpr std::string_view why_bare_lf = "A line ends with a line feed alone instead of CRLF.";

head_result head_parser::parse(request_head& out) noexcept {
  is_request_ = true;
  out.header_count = 0;
  out.content_length.reset();
  out.chunked = false;
  if (skip_empty_line() && worth_a_look() && request_line(out) && header_lines(out) && framing(out)) {
    out.head_bytes = static_cast<std::size_t>(p_ - begin_);
    out.text = {out.method.data(), p_};
    result_.status = head_status::done;
  }
  if (progress_ != nullptr && result_.status != head_status::need_more) *progress_ = {};
  return result_;
}

head_result head_parser::parse(response_head& out) noexcept {
  is_request_ = false;
  out.header_count = 0;
  out.content_length.reset();
  out.chunked = false;
  if (worth_a_look() && status_line(out) && header_lines(out) && framing(out)) {
    out.head_bytes = static_cast<std::size_t>(p_ - begin_);
    result_.status = head_status::done;
  }
  if (progress_ != nullptr && result_.status != head_status::need_more) *progress_ = {};
  return result_;
}

// RFC 9112 section 2.2: a server should ignore an empty line before the request line; some clients send one after a
// body.
bool head_parser::skip_empty_line() noexcept {
  if (p_ == end_ || *p_ != '\r') return true;
  if (end_ - p_ == 1) return wait_or_refuse(http_status::bad_request, why_bare_cr);
  if (p_[1] != '\n') return refuse(http_status::bad_request, why_bare_cr);
  p_ += 2;
  line_ = p_;
  return true;
}

// Refuses at the first byte what cannot become a head (a TLS hello on a plain port, say), and returns early when the
// bytes that are new since the last call completed no line: whatever they are, they are not judged before their line
// is.
bool head_parser::worth_a_look() noexcept {
  if (p_ == end_) return wait();
  if (is_request_ && !is(*p_, http_scan::token_byte)) return refuse(http_status::bad_request, "The first byte cannot begin an HTTP method.");
  if (!is_request_ && *p_ != 'H') return refuse(http_status::bad_gateway, "The first byte cannot begin an HTTP response.");
  const auto size = static_cast<std::size_t>(end_ - begin_);
  if (progress_ == nullptr || progress_->scanned == 0 || progress_->scanned > size) return true;
  if (std::memchr(begin_ + progress_->scanned, '\n', size - progress_->scanned) != nullptr) return true;
  line_ = std::max(line_, begin_ + std::min(progress_->line_start, size));
  first_line_ = progress_->line_start <= static_cast<std::size_t>(p_ - begin_);
  return wait();
}

// RFC 9112 section 3: method SP request-target SP HTTP-version CRLF, with exactly one space each.
bool head_parser::request_line(request_head& out) noexcept {
  const char* method = p_;
  p_ = http_scan::find_token_end(p_, end_);
  if (p_ == end_ || *p_ != ' ') return wait_or_refuse(http_status::bad_request, "The request line does not begin with a method and one space.");
  out.method = {method, p_};

  const char* target = ++p_;
  p_ = http_scan::find_target_end(p_, end_);
  if (p_ == end_ || p_ == target || *p_ != ' ')
    return wait_or_refuse(http_status::bad_request, p_ != end_ && *p_ == '#' ? "The request target has a fragment."
                                                                             : "The request target is not followed by one space and the version.");
  out.target = {target, p_};
  ++p_;
  return version(out.minor_version) && finish_line(p_, "The request line does not end after the version.") && request_target(out);
}

bool head_parser::version(std::uint8_t& minor) noexcept {
  constexpr std::string_view prefix = "HTTP/";
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (end_ - p_ < 8 || std::string_view{p_, prefix.size()} != prefix || !digit(p_[5]) || p_[6] != '.' || !digit(p_[7]))
    return wait_or_refuse(http_status::bad_request, "The HTTP version is malformed.");
  if (p_[5] != '1') return wait_or_refuse(http_status::http_version_not_supported, "Only HTTP/1 is spoken here.");
  // RFC 9112 section 2.3: a later minor version is read like the latest that we know.
  minor = p_[7] == '0' ? 0 : 1;
  p_ += 8;
  return true;
}

// RFC 9112 section 3.2: the four forms of a request target.
bool head_parser::request_target(request_head& out) noexcept {
  constexpr std::string_view why = "The request target is neither a path nor a URL.";
  std::string_view rest = out.target;
  host_ = {};
  out.query = {};
  if (rest.front() != '/') {
    if (out.method == "CONNECT") {
      out.path = {};
      host_ = rest;
      const auto to = parse_authority(rest);
      const bool valid = to && !to->host.empty() && to->port.value_or(0) != 0;
      return valid || refuse(http_status::bad_request, "The target of CONNECT is not a host and port.");
    }
    if (rest == "*") {
      out.path = rest;
      return out.method == "OPTIONS" || refuse(http_status::bad_request, why);
    }
    // The absolute form, which a client sends to a proxy and every server must accept.
    const std::size_t colon = rest.find("://");
    if (colon == std::string_view::npos) return refuse(http_status::bad_request, why);
    const std::string_view scheme = rest.substr(0, colon);
    if (!equal_ignoring_case(scheme, "http") && !equal_ignoring_case(scheme, "https") && !equal_ignoring_case(scheme, "ws") &&
        !equal_ignoring_case(scheme, "wss"))
      return refuse(http_status::bad_request, why);
    rest.remove_prefix(colon + 3);
    const std::size_t authority_size = std::min(rest.find_first_of("/?"), rest.size());
    host_ = rest.substr(0, authority_size);
    rest.remove_prefix(authority_size);
    if (const auto named = parse_authority(host_); !named || named->host.empty())
      return refuse(http_status::bad_request, "The request target names no valid host.");
  }
  const std::size_t question = rest.find('?');
  out.path = rest.substr(0, question);
  if (out.path.empty()) out.path = "/";
  if (question != std::string_view::npos) out.query = rest.substr(question + 1);
  return true;
}

// RFC 9112 section 4: HTTP-version SP 3DIGIT SP [reason] CRLF. Servers that leave out the last space are tolerated.
bool head_parser::status_line(response_head& out) noexcept {
  constexpr std::string_view why = "The status line is malformed.";
  if (!version(out.minor_version)) return false;
  const auto digit = [](char c, char low) { return c >= low && c <= '9'; };
  if (end_ - p_ < 5 || p_[0] != ' ' || !digit(p_[1], '1') || !digit(p_[2], '0') || !digit(p_[3], '0'))
    return wait_or_refuse(http_status::bad_gateway, why);
  out.status_code = static_cast<std::uint16_t>((p_[1] - '0') * 100 + (p_[2] - '0') * 10 + (p_[3] - '0'));
  p_ += 4;
  if (*p_ != ' ' && *p_ != '\r') return wait_or_refuse(http_status::bad_gateway, why);
  if (*p_ == ' ') ++p_;
  const char* reason = p_;
  const char* cr = http_scan::find_value_end(p_, end_);
  out.reason = {reason, cr};
  return finish_line(cr, "The reason phrase contains a control character.");
}

// RFC 9112 section 5: field-name ":" OWS field-value OWS CRLF, until the empty line.
template <class Head> bool head_parser::header_lines(Head& out) noexcept {
  const std::size_t count_max = std::min(limits_.header_count_max, http_fields::capacity);
  first_line_ = false;
  std::size_t count = 0;
  for (;;) {
    if (p_ != end_ && *p_ == '\r') break;
    const char* name = p_;
    const char* colon = http_scan::find_token_end(p_, end_);
    if (colon == end_ || *colon != ':' || colon == name) {
      std::string_view why = "A header line has no colon after a valid name.";
      if (colon != end_ && (*colon == ' ' || *colon == '\t'))
        why = colon == name ? "A header line is folded onto the one before it." : "White space stands before the colon of a header.";
      return wait_or_refuse(http_status::bad_request, why);
    }
    const char* value = colon + 1;
    while (value != end_ && (*value == ' ' || *value == '\t')) ++value;
    const char* cr = http_scan::find_value_end(value, end_);
    if (!finish_line(cr, "A header value contains a control character.")) return false;
    while (cr != value && (cr[-1] == ' ' || cr[-1] == '\t')) --cr;
    if (count == count_max) return refuse(http_status::header_fields_too_large, "The head has too many header fields.");
    out.headers[count] = {.name = {name, colon}, .value = {value, cr}};
    if (!framing_field(out, out.headers[count])) return false;
    out.header_count = ++count;
  }
  return finish_line(p_, {});
}

// Notes the fields that decide where the message ends. Their names have four different lengths.
template <class Head> bool head_parser::framing_field(Head& out, const http_header& field) noexcept {
  switch (field.name.size()) {
  case 4:
    if (!is_request_ || !equal_ignoring_case(field.name, "host")) break;
    if (host_seen_) return refuse(http_status::bad_request, "There is more than one Host.");
    host_seen_ = true;
    // RFC 9112 section 3.2.2: the host of an absolute target wins over the field.
    if (host_.empty()) host_ = field.value;
    if (!parse_authority(field.value)) return refuse(http_status::bad_request, "Host is not a valid host and port.");
    break;
  case 10:
    if (!equal_ignoring_case(field.name, "connection")) break;
    for_each_list_element(field.value, [&](std::string_view option) {
      said_close_ |= equal_ignoring_case(option, "close");
      said_keep_alive_ |= equal_ignoring_case(option, "keep-alive");
      return true;
    });
    break;
  case 14: {
    if (!equal_ignoring_case(field.name, "content-length")) break;
    // RFC 9110 section 8.6 lets us refuse even a repetition of the same value.
    if (length_seen_) return refuse(http_status::bad_request, "There is more than one Content-Length.");
    length_seen_ = true;
    std::uint64_t length = 0;
    bool overflow = false;
    if (field.value.empty()) return refuse(http_status::bad_request, "Content-Length is not a decimal number.");
    for (const char c : field.value) {
      if (c < '0' || c > '9') return refuse(http_status::bad_request, "Content-Length is not a decimal number.");
      overflow |= __builtin_mul_overflow(length, std::uint64_t{10}, &length);
      overflow |= __builtin_add_overflow(length, static_cast<std::uint64_t>(c - '0'), &length);
    }
    if (overflow) return refuse(http_status::bad_request, "Content-Length is beyond all bounds.");
    out.content_length = length;
    break;
  }
  case 17:
    if (!equal_ignoring_case(field.name, "transfer-encoding")) break;
    note_codings(field.value);
    break;
  default: break;
  }
  return true;
}

// The next codings of the list. One with a parameter is no plain "chunked" (RFC 9112 section 7.1 has none for it), and a
// comma in a quoted parameter may cut one in two: neither can make a list acceptable that is not "chunked" alone.
void head_parser::note_codings(std::string_view list) noexcept {
  for (bool more = true; more;) {
    const std::size_t comma = list.find(',');
    const std::string_view coding = trim_whitespace(list.substr(0, comma));
    if (coding_seen_) {
      coding_before_last_is_chunked_ |= last_coding_is_chunked_;
      coding_before_last_is_unknown_ |= !last_coding_is_chunked_;
    }
    coding_seen_ = true;
    coding_is_missing_ |= coding.empty();
    last_coding_is_chunked_ = equal_ignoring_case(coding, "chunked");
    more = comma != std::string_view::npos;
    if (more) list.remove_prefix(comma + 1);
  }
}

// What can only be said at the end: RFC 9112 sections 3.2 (Host), 6.1 and 6.3 (one meaning of the length), 9.3
// (persistence).
template <class Head> bool head_parser::framing(Head& out) noexcept {
  if (coding_seen_ && length_seen_) return refuse(http_status::bad_request, "Transfer-Encoding and Content-Length contradict each other.");
  if (coding_seen_ && out.minor_version == 0) return refuse(http_status::bad_request, "HTTP/1.0 has no Transfer-Encoding.");
  if (coding_is_missing_ || coding_before_last_is_chunked_)
    return refuse(http_status::bad_request, "Transfer-Encoding is not a list that names chunked once.");
  if (coding_seen_ && !last_coding_is_chunked_)
    return refuse(http_status::bad_request, "The last transfer coding is not chunked, so the body has no end.");
  if (coding_before_last_is_unknown_) return refuse(http_status::not_implemented, "The only transfer coding understood here is chunked.");
  if constexpr (requires { out.host; }) {
    if (!host_seen_ && out.minor_version == 1) return refuse(http_status::bad_request, "HTTP/1.1 demands a Host.");
    out.host = host_;
  }
  out.chunked = coding_seen_;
  out.keep_alive = !said_close_ && (out.minor_version == 1 || said_keep_alive_);
  return true;
}

// `cr` is where the content of the line stopped. Goes on behind its CRLF, if that is what stands there.
bool head_parser::finish_line(const char* cr, std::string_view why_not_there) noexcept {
  if (end_ - cr < 2 || cr[0] != '\r' || cr[1] != '\n') {
    std::string_view why = why_not_there;
    if (cr != end_ && *cr == '\r') why = why_bare_cr;
    if (cr != end_ && *cr == '\n') why = why_bare_lf;
    return wait_or_refuse(http_status::bad_request, why);
  }
  p_ = cr + 2;
  if (p_ > line_limit()) return refuse_length();
  line_ = p_;
  return true;
}

// Something is wrong with the line at line_, perhaps only that it is not all there.
bool head_parser::wait_or_refuse(http_status error, std::string_view why) noexcept {
  const void* lf = line_ == end_ ? nullptr : std::memchr(line_, '\n', static_cast<std::size_t>(end_ - line_));
  if (lf == nullptr) return wait();
  if (static_cast<const char*>(lf) + 1 > line_limit()) return refuse_length();
  return refuse(error, why);
}

// The line at line_ has no end yet.
bool head_parser::wait() noexcept {
  if (end_ > line_limit()) return refuse_length();
  result_.status = head_status::need_more;
  if (progress_ != nullptr) *progress_ = {.scanned = static_cast<std::size_t>(end_ - begin_), .line_start = static_cast<std::size_t>(line_ - begin_)};
  return false;
}

bool head_parser::refuse(http_status error, std::string_view why) noexcept {
  result_ = {.status = head_status::bad, .error = is_request_ ? error : http_status::bad_gateway, .why = why};
  return false;
}

// The first byte that the current line may not reach: its own limit, or that of the whole head.
const char* head_parser::line_limit() const noexcept {
  const auto left = static_cast<std::size_t>(end_ - line_);
  const auto before = static_cast<std::size_t>(line_ - begin_);
  const std::size_t head_left = limits_.head_bytes_max > before ? limits_.head_bytes_max - before : 0;
  return line_ + std::min({left, limits_.line_bytes_max, head_left});
}

bool head_parser::refuse_length() noexcept {
  const auto before = static_cast<std::size_t>(line_ - begin_);
  if (limits_.line_bytes_max > limits_.head_bytes_max - std::min(before, limits_.head_bytes_max))
    return refuse(http_status::header_fields_too_large, "The head is too large.");
  return first_line_ ? refuse(http_status::uri_too_long, "The first line of the head is too long.")
                     : refuse(http_status::header_fields_too_large, "A header line is too long.");
}

} // namespace

head_result parse_request_head(std::span<const std::byte> input, const http_limits& limits, request_head& out, head_progress* progress) noexcept {
  return head_parser{input, limits, progress}.parse(out);
}

head_result parse_response_head(std::span<const std::byte> input, const http_limits& limits, response_head& out, head_progress* progress) noexcept {
  return head_parser{input, limits, progress}.parse(out);
}

} // namespace ringcast
