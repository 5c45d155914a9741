// The limits of a head at limit - 1, limit and limit + 1; what a head costs that trickles in.
#include "verdict.hpp"

using namespace ringcast;
using ringcast::test::judge;
using ringcast::test::verdict;

namespace {

constexpr std::string_view request_start = "GET / HTTP/1.1\r\nHost: a\r\n";

void expect(const verdict& v, unsigned error) {
  BOOST_TEST((v.status == (error == 0 ? head_status::done : head_status::bad)));
  if (error != 0) BOOST_TEST(v.error == error);
}

// A request line of `bytes` bytes with its CRLF.
std::string line_of(std::size_t bytes) { return "GET /" + std::string(bytes - 16, 'x') + " HTTP/1.1\r\n"; }
std::string header_of(std::size_t bytes) { return "X: " + std::string(bytes - 5, 'x') + "\r\n"; }

} // namespace

BOOST_AUTO_TEST_SUITE(the_limits_of_a_head)

BOOST_AUTO_TEST_CASE(bound_the_request_line) {
  const http_limits limits{.head_bytes_max = 1000, .line_bytes_max = 100};
  for (const std::size_t bytes : {99U, 100U, 101U, 102U, 300U})
    expect(judge<request_head>(line_of(bytes) + "Host: a\r\n\r\n", limits), bytes <= 100 ? 0 : 414);
  BOOST_TEST((judge<request_head>("GET /" + std::string(95, 'x'), limits).status == head_status::need_more));
  expect(judge<request_head>("GET /" + std::string(96, 'x'), limits), 414);
  // The empty line before it counts for the head, not for the line.
  expect(judge<request_head>("\r\n" + line_of(100) + "Host: a\r\n\r\n", limits), 0);
  expect(judge<request_head>("\r\n" + line_of(101) + "Host: a\r\n\r\n", limits), 414);
}

BOOST_AUTO_TEST_CASE(bound_a_header_line) {
  const http_limits limits{.head_bytes_max = 1000, .line_bytes_max = 100};
  for (const std::size_t bytes : {99U, 100U, 101U, 102U, 300U})
    expect(judge<request_head>(std::string{request_start} + header_of(bytes) + "\r\n", limits), bytes <= 100 ? 0 : 431);
  expect(judge<request_head>(std::string{request_start} + std::string(101, 'x'), limits), 431);
}

// Otherwise the verdict on such a line would depend on whether its end had arrived.
BOOST_AUTO_TEST_CASE(come_before_what_else_is_wrong_with_a_line) {
  const http_limits limits{.head_bytes_max = 1000, .line_bytes_max = 100};
  expect(judge<request_head>(std::string{request_start} + "no colon" + std::string(93, ' ') + "\n", limits), 431);
  expect(judge<request_head>(std::string{request_start} + "no colon" + std::string(91, ' ') + "\n", limits), 400);
  expect(judge<request_head>("GET" + std::string(98, '/') + "\n", limits), 414);
  expect(judge<request_head>("GET" + std::string(96, '/') + "\n", limits), 400);
}

BOOST_AUTO_TEST_CASE(bound_the_whole_head) {
  const http_limits limits{.head_bytes_max = 200, .line_bytes_max = 100};
  for (const std::size_t bytes : {199U, 200U, 201U, 202U, 260U}) {
    std::string head{request_start};
    head += header_of(90);
    head += header_of(bytes - head.size() - 2) + "\r\n";
    BOOST_TEST_REQUIRE(head.size() == bytes);
    expect(judge<request_head>(head, limits), bytes <= 200 ? 0 : 431);
    expect(judge<request_head>(head + "and a body", limits), bytes <= 200 ? 0 : 431);
  }
  // Smaller than one line may be.
  expect(judge<request_head>(line_of(60) + "Host: a\r\n\r\n", {.head_bytes_max = 50, .line_bytes_max = 100}), 431);
}

BOOST_AUTO_TEST_CASE(bound_the_number_of_headers) {
  for (const std::size_t limit : {1U, 5U, 64U}) {
    for (std::size_t count = limit; count <= limit + 1; ++count) {
      std::string head{request_start}; // with one header
      for (std::size_t i = 1; i < count; ++i) head += "X: y\r\n";
      expect(judge<request_head>(head + "\r\n", {.header_count_max = limit}), count <= limit ? 0 : 431);
    }
  }
  // The array is the last word, whatever the limit says.
  std::string head{request_start};
  for (std::size_t i = 1; i < 65; ++i) head += "X: y\r\n";
  expect(judge<request_head>(head + "\r\n", {.header_count_max = 1000}), 431);
}

BOOST_AUTO_TEST_CASE(hold_for_a_response_of_two_gigabytes_too) {
  const http_limits limits{.head_bytes_max = 300, .line_bytes_max = 100};
  std::string head = "HTTP/1.1 101 Switching Protocols\r\n";
  while (head.size() < 2000) head += "X: some more of the same\r\n";
  const auto v = judge<response_head>(head, limits);
  BOOST_TEST((v.status == head_status::bad));
  BOOST_TEST(v.why == "The head is too large.");
  BOOST_TEST((judge<response_head>("HTTP/1.1 200 " + std::string(200, 'x'), limits).status == head_status::bad));
}

BOOST_AUTO_TEST_CASE(defaults_refuse_what_is_far_too_large) {
  request_head head;
  const auto status_of = [&](const std::string& text) { return test::parse_head(text, {}, head); };
  BOOST_TEST(to_number(status_of(line_of(100'000)).error) == 414U);
  BOOST_TEST(to_number(status_of(std::string{request_start} + header_of(100'000)).error) == 431U);
  std::string many{request_start};
  for (int i = 0; i < 10'000; ++i) many += "X: y\r\n";
  BOOST_TEST(to_number(status_of(many).error) == 431U);
}

BOOST_AUTO_TEST_CASE(progress_may_be_kept_or_not) {
  const std::string text = std::string{request_start} + "A: b\r\nC: d\r\n\r\n";
  request_head head;
  head_progress progress;
  for (std::size_t size = 0; size < text.size(); ++size) {
    BOOST_TEST((test::parse_head(std::string_view{text}.substr(0, size), {}, head, &progress).status == head_status::need_more));
    BOOST_TEST(progress.scanned == size);
  }
  BOOST_TEST(progress.line_start == text.size() - 2);
  BOOST_TEST((test::parse_head(text, {}, head, &progress).status == head_status::done));
  // Ready for the next head of the connection.
  BOOST_TEST(progress.scanned == 0U);
  // A hint that belongs to other bytes must not make the parser read past the end.
  progress = {.scanned = 1'000'000, .line_start = 900'000};
  BOOST_TEST((test::parse_head(text, {}, head, &progress).status == head_status::done));
  progress = {.scanned = 3, .line_start = 900'000};
  BOOST_TEST((test::parse_head("GET / HT", {}, head, &progress).status == head_status::need_more));
}

BOOST_AUTO_TEST_SUITE_END()
