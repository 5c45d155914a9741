// Response heads, as a client reads them (RFC 9112 section 4).
#include "verdict.hpp"

using namespace ringcast;
using ringcast::test::judge;

namespace {

void expect_refused(std::string_view text) {
  BOOST_TEST_CONTEXT(text) {
    const auto v = judge<response_head>(text);
    BOOST_TEST((v.status == head_status::bad));
    BOOST_TEST(v.error == 502U);
    BOOST_TEST(v.why.ends_with('.'));
  }
}

response_head parsed(std::string_view text) {
  BOOST_TEST((judge<response_head>(text).status == head_status::done));
  response_head head;
  BOOST_TEST_REQUIRE((test::parse_head(test::keep(text), {}, head).status == head_status::done));
  return head;
}

} // namespace

BOOST_AUTO_TEST_SUITE(a_response_head)

BOOST_AUTO_TEST_CASE(that_switches_protocols_is_read_completely) {
  const std::string text = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
  const auto head = parsed(text + "\x81\x02hi");
  BOOST_TEST(head.status_code == 101);
  BOOST_TEST((head.status() == http_status::switching_protocols));
  BOOST_TEST(!head.is_interim());
  BOOST_TEST(head.head_bytes == text.size());
  BOOST_TEST(head.header_count == 3U);
  BOOST_TEST(head.header("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

BOOST_AUTO_TEST_CASE(says_how_its_body_ends) {
  BOOST_TEST(parsed("HTTP/1.1 503 Busy\r\nRetry-After: 3\r\nContent-Length: 10\r\n\r\n").content_length.value() == 10U);
  BOOST_TEST(parsed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").chunked);
  BOOST_TEST(!parsed("HTTP/1.0 200 OK\r\n\r\n").keep_alive);
  BOOST_TEST(!parsed("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").keep_alive);
  expect_refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n");
  expect_refused("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n");
  expect_refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n");
}

BOOST_AUTO_TEST_CASE(may_be_interim) {
  BOOST_TEST(parsed("HTTP/1.1 100 Continue\r\n\r\n").is_interim());
  BOOST_TEST(parsed("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n").is_interim());
  BOOST_TEST(!parsed("HTTP/1.1 200 OK\r\n\r\n").is_interim());
}

BOOST_AUTO_TEST_CASE(may_have_any_reason_or_none) {
  BOOST_TEST(parsed("HTTP/1.1 404 \r\n\r\n").reason.empty());
  BOOST_TEST(parsed("HTTP/1.1 404\r\n\r\n").reason.empty());
  BOOST_TEST(parsed("HTTP/1.0 200 Connection established\r\n\r\n").reason == "Connection established");
  BOOST_TEST(parsed("HTTP/1.1 999 \xc3\xa9\tx\r\n\r\n").reason == "\xc3\xa9\tx");
}

BOOST_AUTO_TEST_CASE(that_is_garbage_is_refused) {
  expect_refused("SSH-2.0-OpenSSH_9.2\r\n");
  expect_refused("<html>");
  expect_refused("\r\nHTTP/1.1 101 x\r\n\r\n");
  expect_refused("HTTP/2 101\r\n\r\n");
  expect_refused("HTTP/2.0 101 x\r\n\r\n");
  expect_refused("HELLO\r\n");
  expect_refused("HTTP/1.1 10 x\r\n\r\n");
  expect_refused("HTTP/1.1 1010 x\r\n\r\n");
  expect_refused("HTTP/1.1  101 x\r\n\r\n");
  expect_refused("HTTP/1.1 x01 x\r\n\r\n");
  expect_refused("HTTP/1.1 001 x\r\n\r\n");
  expect_refused("HTTP/1.1\r\n\r\n");
  expect_refused("HTTP/1.1 101 a\nb\r\n\r\n");
  expect_refused("HTTP/1.1 101 a\rb\r\n\r\n");
  expect_refused("HTTP/1.1 101 x\r\nA: b\r\n c\r\n\r\n");
  expect_refused("HTTP/1.1 101 x\r\nA : b\r\n\r\n");
  expect_refused("HTTP/1.1 101 x\r\nA\r\n\r\n");
}

BOOST_AUTO_TEST_SUITE_END()
