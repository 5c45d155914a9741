// The fuzz target of request heads, response heads and chunked bodies. How it works:
// 1. The first three bytes of the input choose the role, the limits, and how the rest is cut into pieces.
// 2. The rest is parsed whole, and as it grows by those pieces, each time from memory that is exactly as long as what
// has
//    arrived, so that the address sanitizer sees an access of one byte too many.
// 3. Both must lead to the same verdict, and a head that was accepted must keep the rules that hold for every head:
// written
//    out again in the plainest form, it must be read as the same head.
// 4. What follows a head with a chunked body is decoded, whole and in pieces, with the same outcome.
#include "proto/http_head.hpp"
#include "proto/authority.hpp"
#include "proto/http_body.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

using namespace ringcast;

namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

// A copy in memory of its own, without a byte to spare.
class exact_copy {
 public:
  explicit exact_copy(std::string_view text) : bytes_{std::make_unique<std::byte[]>(text.size())}, size_{text.size()} {
    std::ranges::copy(std::as_bytes(std::span{text}), bytes_.get());
  }
  [[nodiscard]] std::span<std::byte> bytes() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_;
};

// How much more arrives each time: 1 to 64 bytes, by turns.
struct pieces {
  std::size_t first;
  std::size_t second;
  [[nodiscard]] std::size_t operator()(std::size_t n) const { return n % 2 == 0 ? first : second; }
};

head_result parse(std::span<const std::byte> input, const http_limits& limits, request_head& out, head_progress* progress) {
  return parse_request_head(input, limits, out, progress);
}
head_result parse(std::span<const std::byte> input, const http_limits& limits, response_head& out, head_progress* progress) {
  return parse_response_head(input, limits, out, progress);
}

void append_lines(std::string& text, const http_fields& head) {
  for (std::size_t i = 0; i < head.header_count; ++i) text.append(head.headers[i].name).append(": ").append(head.headers[i].value).append("\r\n");
  text.append("\r\n");
}

std::string in_plain_form(const request_head& head) {
  std::string text{head.method};
  text.append(" ").append(head.target).append(head.minor_version == 1 ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n");
  append_lines(text, head);
  return text;
}
std::string in_plain_form(const response_head& head) {
  std::string text = head.minor_version == 1 ? "HTTP/1.1 " : "HTTP/1.0 ";
  text.append(std::to_string(head.status_code)).append(" ").append(head.reason).append("\r\n");
  append_lines(text, head);
  return text;
}

void check_rules(const request_head& head, const http_limits& limits) {
  require(is_token(head.method), "a method is a token");
  require(!head.target.empty(), "there is a target");
  require(head.path.empty() ? head.method == "CONNECT" : head.path.front() == '/' || head.path == "*", "a path is one");
  require(head.minor_version == 0 || head.count("Host") == 1, "HTTP/1.1 has one Host");
  const auto named = parse_authority(head.host);
  require(named && named->host.size() <= head.host.size(), "a host is one, with its port");
  require(head.text.data() == head.method.data() && head.text.ends_with("\r\n\r\n"), "a head begins with its method");
  require(head.head_bytes - head.text.size() == 0 || head.head_bytes - head.text.size() == 2, "an empty line may precede");
  require(head.method.size() + head.target.size() + 12 <= limits.line_bytes_max, "the first line keeps its limit");
}
void check_rules(const response_head& head, const http_limits&) {
  require(head.status_code >= 100 && head.status_code <= 999, "a status has three digits");
  require(is_field_value(head.reason), "a reason has no control characters");
}

template <class Head> bool same(const Head& a, const Head& b) {
  bool equal = a.header_count == b.header_count && a.minor_version == b.minor_version && a.chunked == b.chunked &&
               a.content_length == b.content_length && a.keep_alive == b.keep_alive;
  for (std::size_t i = 0; equal && i < a.header_count; ++i)
    equal = a.headers[i].name == b.headers[i].name && a.headers[i].value == b.headers[i].value;
  if constexpr (requires { a.method; })
    return equal && a.method == b.method && a.target == b.target && a.path == b.path && a.query == b.query && a.host == b.host;
  else
    return equal && a.status_code == b.status_code && a.reason == b.reason;
}

struct decoded_body {
  chunked_status status = chunked_status::need_more;
  http_status error = http_status::ok;
  std::size_t consumed = 0;
  std::string content;
  friend bool operator==(const decoded_body&, const decoded_body&) = default;
};

decoded_body decode(std::string_view text, const chunked_limits& limits, pieces cut) {
  chunked_decoder decoder{limits};
  decoded_body body;
  for (std::size_t n = 0; !text.empty() && body.status == chunked_status::need_more; ++n) {
    const exact_copy piece{text.substr(0, cut(n))};
    text.remove_prefix(piece.bytes().size());
    const auto result = decoder.decode(piece.bytes());
    require(result.produced <= result.consumed && result.consumed <= piece.bytes().size(), "a body does not grow");
    require(result.status != chunked_status::need_more || result.consumed == piece.bytes().size(), "all is consumed");
    body.content.append(reinterpret_cast<const char*>(piece.bytes().data()), result.produced);
    body.consumed += result.consumed;
    body.status = result.status;
    body.error = result.error;
  }
  require(body.content.size() <= limits.body_bytes_max, "a body keeps its limit");
  return body;
}

template <class Head> void check(std::string_view text, const http_limits& limits, pieces cut) {
  const exact_copy whole{text};
  Head head;
  const head_result verdict = parse(whole.bytes(), limits, head, nullptr);

  Head grown;
  head_progress progress;
  head_result in_pieces;
  std::unique_ptr<exact_copy> arrived;
  for (std::size_t n = 0, size = 0;; ++n) {
    size = std::min(text.size(), size + cut(n));
    arrived = std::make_unique<exact_copy>(text.substr(0, size));
    in_pieces = parse(arrived->bytes(), limits, grown, &progress);
    if (in_pieces.status != head_status::need_more || size == text.size()) break;
  }
  require(in_pieces.status == verdict.status, "the same status");
  require(in_pieces.error == verdict.error && in_pieces.why == verdict.why, "the same refusal");
  if (verdict.status == head_status::bad) require(!verdict.why.empty() && to_number(verdict.error) >= 400, "a refusal says why");
  if (verdict.status != head_status::done) return;

  require(same(head, grown) && head.head_bytes == grown.head_bytes, "the same head");
  require(head.head_bytes <= std::min(text.size(), limits.head_bytes_max), "a head keeps its limit");
  require(head.header_count <= limits.header_count_max, "the headers keep their limit");
  require(text.substr(0, head.head_bytes).ends_with("\r\n\r\n"), "a head ends with an empty line");
  require(!head.chunked || !head.content_length, "the length has one meaning");
  for (std::size_t i = 0; i < head.header_count; ++i) {
    require(is_token(head.headers[i].name), "a name is a token");
    require(is_field_value(head.headers[i].value), "a value has no control characters");
    require(head.headers[i].value == trim_whitespace(head.headers[i].value), "a value is trimmed");
  }
  check_rules(head, limits);

  const exact_copy shorter{text.substr(0, head.head_bytes - 1)};
  require(parse(shorter.bytes(), limits, grown, nullptr).status == head_status::need_more, "a head is all of its bytes");
  const exact_copy plain{in_plain_form(head)};
  const http_limits roomy{.head_bytes_max = 1 << 20, .line_bytes_max = 1 << 20};
  require(parse(plain.bytes(), roomy, grown, nullptr).status == head_status::done && same(head, grown), "it is read again");

  if (head.chunked) {
    const std::string_view body = text.substr(head.head_bytes);
    const chunked_limits small{.body_bytes_max = 200, .line_bytes_max = 60, .trailer_bytes_max = 100, .overhead_bytes_max = 100};
    require(decode(body, small, {body.size(), body.size()}) == decode(body, small, cut), "the same body");
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const std::string_view text{reinterpret_cast<const char*>(data + 3), size - 3};
  http_limits limits;
  if ((data[0] & 2) != 0) limits = {.head_bytes_max = 300, .line_bytes_max = 100, .header_count_max = 6};
  if ((data[0] & 4) != 0) limits.line_bytes_max = 400;
  const pieces cut{.first = std::size_t{data[1]} % 64 + 1, .second = std::size_t{data[2]} % 64 + 1};
  if ((data[0] & 1) != 0)
    check<response_head>(text, limits, cut);
  else
    check<request_head>(text, limits, cut);
  return 0;
}
