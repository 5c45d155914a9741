// What a head parser said about some bytes, as a value that outlives them, and the check that the way the bytes arrived
// makes no difference: whole, byte by byte and split at each place, each time in memory that ends at a guard page.
#pragma once

#include "proto/http_head.hpp"
#include "tests/proto/guard_page.hpp"

#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <deque>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ringcast::test {

/// A copy that lives until the program ends: heads are views, and a test may hold one longer than the text it was made
/// of.
inline std::string_view keep(std::string_view text) {
  static std::deque<std::string> kept;
  return kept.emplace_back(text);
}

struct verdict {
  head_status status = head_status::need_more;
  unsigned error = 0;
  std::string why;
  // When done: everything the head says, one line each.
  std::vector<std::string> content;

  friend bool operator==(const verdict&, const verdict&) = default;
  friend std::ostream& operator<<(std::ostream& out, const verdict& v) {
    out << (v.status == head_status::done ? "done" : v.status == head_status::bad ? "bad " : "need more");
    if (v.status == head_status::bad) out << v.error << ' ' << v.why;
    for (const auto& line : v.content) out << "\n  " << line;
    return out;
  }
};

template <class Head> verdict make_verdict(const head_result& result, const Head& head) {
  verdict v{.status = result.status, .error = to_number(result.error), .why = std::string{result.why}, .content = {}};
  if (result.status != head_status::done) return v;
  if constexpr (requires { head.method; }) {
    v.content.emplace_back(head.method);
    for (const auto part : {head.target, head.path, head.query, head.host}) v.content.emplace_back(part);
  } else {
    v.content.push_back(std::to_string(head.status_code));
    v.content.emplace_back(head.reason);
  }
  v.content.push_back(std::to_string(head.minor_version));
  v.content.push_back(std::to_string(head.head_bytes));
  v.content.push_back(head.content_length ? std::to_string(*head.content_length) : "no length");
  v.content.emplace_back(head.chunked ? "chunked" : "not chunked");
  v.content.emplace_back(head.keep_alive ? "keep-alive" : "close");
  for (std::size_t i = 0; i < head.header_count; ++i) {
    v.content.emplace_back(head.headers[i].name);
    v.content.back() += '=';
    v.content.back() += head.headers[i].value;
  }
  return v;
}

template <class Head> head_result parse_head(std::string_view text, const http_limits& limits, Head& head, head_progress* progress = nullptr) {
  const auto bytes = std::as_bytes(std::span{text});
  if constexpr (requires { head.method; })
    return parse_request_head(bytes, limits, head, progress);
  else
    return parse_response_head(bytes, limits, head, progress);
}

/// Feeds prefixes that grow by `step`, each in fresh guarded memory, until there is a verdict.
template <class Head>
verdict judge_in_steps(std::string_view text, const http_limits& limits, std::size_t first, std::size_t step, guarded_memory& memory) {
  Head head;
  head_progress progress;
  for (std::size_t size = first;; size = std::min(text.size(), size + step)) {
    const auto result = parse_head(memory.place_last(text.substr(0, size)), limits, head, &progress);
    if (result.status != head_status::need_more || size == text.size()) return make_verdict(result, head);
  }
}

/// The verdict, after having checked that every way of splitting the bytes leads to it.
template <class Head> verdict judge(std::string_view text, const http_limits& limits = {}) {
  guarded_memory memory{text.size()};
  Head head;
  const auto result = parse_head(memory.place_last(text), limits, head);
  const verdict whole = make_verdict(result, head);
  BOOST_TEST(judge_in_steps<Head>(text, limits, 0, 1, memory) == whole);
  for (std::size_t split = 0; split <= text.size(); ++split) {
    const verdict in_two = judge_in_steps<Head>(text, limits, split, text.size(), memory);
    BOOST_TEST(in_two == whole, "split at " << split << ": " << in_two << " instead of " << whole);
  }
  return whole;
}

} // namespace ringcast::test
