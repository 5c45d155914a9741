// Answers whose body is written as it comes: request::respond_in_pieces().
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"
#include "tests/support/sanitizer.hpp"

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>

using namespace ringcast;
using namespace std::chrono_literals;

namespace {

std::string get(std::string_view path, std::string_view version = "1.1", std::string_view more = {}) {
  return std::string{"GET "}.append(path).append(" HTTP/").append(version).append("\r\nHost: x\r\n").append(more).append("\r\n");
}

} // namespace

BOOST_AUTO_TEST_SUITE(pieces)

BOOST_AUTO_TEST_CASE(a_body_is_written_as_it_comes_and_the_next_request_follows) {
  running server{[](auto& s) {
    s.get("/count", [](request& req) -> task<void> {
      req.add_header("X-Rows", "3");
      response_writer out = req.respond_in_pieces(status::ok, "text/csv");
      for (const char* row : {"one\n", "", "two, and a longer row\n", "three\n"}) {
        co_await out.write(row);
        (void)co_await sleep_for(5ms);
      }
      out.finish();
      if (out.is_open()) throw std::logic_error("it is finished");
    });
    s.get("/plain", [](request& req) { req.respond(status::ok, "behind it"); });
    s.get("/none", [](request& req) { (void)req.respond_in_pieces(status::no_content); });
    s.get("/twice", [](request& req) {
      response_writer first = req.respond_in_pieces(status::ok);
      response_writer second = req.respond_in_pieces(status::ok);
      first.finish();
      if (second.is_open()) throw std::logic_error("answered twice");
    });
  }};
  wire_client c{server.address()};
  c.send_bytes(get("/count") + get("/plain")); // the second waits for the end of the first
  const std::string both = c.until("behind it");
  BOOST_TEST(both.find("Transfer-Encoding: chunked\r\n") != std::string::npos);
  BOOST_TEST(both.find("Content-Type: text/csv\r\n") != std::string::npos);
  BOOST_TEST(both.find("X-Rows: 3\r\n") != std::string::npos);
  BOOST_TEST(both.find("Content-Length") > both.find("0\r\n\r\n"));
  BOOST_TEST(both.find("\r\n\r\n4\r\none\n\r\n16\r\ntwo, and a longer row\n\r\n6\r\nthree\n\r\n0\r\n\r\nHTTP/1.1 200") != std::string::npos, both);
  wire_client old{server.address()};
  old.send_bytes(get("/count", "1.0"));
  const std::string all = old.until("never", 2000);
  BOOST_TEST(all.find("chunked") == std::string::npos);
  BOOST_TEST(all.ends_with("\r\n\r\none\ntwo, and a longer row\nthree\n"), all);
  wire_client head{server.address()};
  head.send_bytes("HEAD /count HTTP/1.1\r\nHost: x\r\n\r\n" + get("/plain"));
  BOOST_TEST(head.until("behind it").find("one") == std::string::npos);
  wire_client twice{server.address()};
  twice.send_bytes(get("/twice") + get("/plain"));
  BOOST_TEST(twice.until("behind it").find("\r\n\r\n0\r\n\r\nHTTP/1.1 200") != std::string::npos);
  set_log_level(log_level::off); // it throws
  wire_client none{server.address()};
  BOOST_TEST(none.http(get("/none")).starts_with("HTTP/1.1 500"));
  set_log_level(log_level::info);
}

BOOST_AUTO_TEST_CASE(a_large_body_goes_out_without_being_held) {
  constexpr std::uint64_t bytes = is_sanitized ? 1u << 24 : 1u << 28;
  std::atomic<std::uint64_t> most_held{0};
  running server{[&](auto& s) {
                   s.get("/large", [&](request& req) -> task<void> {
                     const std::string piece(64 * 1024, 'x');
                     response_writer out = req.respond_in_pieces(status::ok, "application/octet-stream");
                     for (std::uint64_t at = 0; at < bytes; at += piece.size())
                       if (co_await out.write(piece) != send_status::queued) co_return;
                     out.finish();
                   });
                 },
                 {.shards = 1}};
  wire_client c{server.address()};
  c.send_bytes(get("/large"));
  std::this_thread::sleep_for(300ms); // nobody reads: it waits
  most_held = server.s.statistics_future().get().total().held_bytes;
  BOOST_TEST(most_held < 1u << 20);
  // Each piece has a line of its own and an end: 10000\r\n ... \r\n.
  const std::string head = c.until("\r\n\r\n");
  BOOST_TEST(head.starts_with("HTTP/1.1 200"));
  const std::string end = c.until("\r\n0\r\n\r\n", 60'000);
  BOOST_TEST(end.size() == bytes / (64 * 1024) * (64 * 1024 + 9) + 5);
}

BOOST_AUTO_TEST_CASE(what_ends_before_the_body_does_is_seen_on_both_sides) {
  std::atomic<int> closed{0}, timed_out{0};
  running server{[&](auto& s) {
                   s.get("/forever", [&](request& req) -> task<void> {
                     const std::string piece(64 * 1024, 'x');
                     response_writer out = req.respond_in_pieces(status::ok);
                     while (co_await out.write(piece) == send_status::queued) {
                     }
                     ++closed;
                   });
                   s.get("/impatient", [&](request& req) -> task<void> {
                     const std::string piece(64 * 1024, 'x');
                     response_writer out = req.respond_in_pieces(status::ok);
                     for (;;) {
                       const send_status sent = co_await out.write(piece, {.deadline = 50ms});
                       if (sent == send_status::timed_out) ++timed_out;
                       if (sent != send_status::queued) co_return;
                     }
                   });
                   s.get("/throws", [](request& req) -> task<void> {
                     response_writer out = req.respond_in_pieces(status::ok);
                     co_await out.write("a part");
                     throw std::runtime_error("no more");
                   });
                 },
                 {.shards = 1, .limits = {.handshake_timeout_ms = 300}}};
  {
    wire_client resets{server.address()};
    resets.send_bytes(get("/forever"));
    std::this_thread::sleep_for(50ms);
    resets.reset();
  }
  for (int i = 0; i < 400 && closed < 1; ++i) std::this_thread::sleep_for(10ms);
  BOOST_TEST(closed == 1);
  // One that never reads is given up.
  wire_client stalls{server.address()};
  stalls.send_bytes(get("/forever"));
  for (int i = 0; i < 400 && closed < 2; ++i) std::this_thread::sleep_for(10ms);
  BOOST_TEST(closed == 2);
  wire_client impatient{server.address()};
  impatient.send_bytes(get("/impatient"));
  for (int i = 0; i < 400 && timed_out < 1; ++i) std::this_thread::sleep_for(10ms);
  BOOST_TEST(timed_out == 1);
  // Without the last chunk the peer knows that something is missing (RFC 9112 8).
  set_log_level(log_level::off);
  wire_client cut{server.address()};
  cut.send_bytes(get("/throws"));
  const std::string part = cut.until("never", 2000);
  BOOST_TEST(part.ends_with("\r\n\r\n6\r\na part\r\n"), part);
  set_log_level(log_level::info);
  // A server that stops does not wait for who goes on for ever.
  wire_client last{server.address()};
  last.send_bytes(get("/forever"));
  (void)last.until("xxx");
}

BOOST_AUTO_TEST_SUITE_END()
