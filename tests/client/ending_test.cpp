// The last read of a connection: what the client says in answer to messages that stand before a Close frame, or before a frame that breaks
// a rule, goes out before its own Close frame (RFC 6455 5.5.1 and 7.1.7), and what it was told is told in order. Both faces, and all of it
// in one segment: behind the 101, and later.
#include "raw_server.hpp"
#include "recorder.hpp"

#include <ringcast/coroutine_client.hpp>

#include <boost/test/unit_test.hpp>
#include <fmt/format.h>

using namespace ringcast;
using namespace ringcast::engine;
using namespace std::chrono_literals;

namespace {

constexpr reconnect_policy never{.enabled = false};

std::string close_of(unsigned code, std::string_view reason = {}) {
  return frame_of(0x88, fmt::format("{}{}{}", static_cast<char>(code >> 8), static_cast<char>(code & 0xff), reason));
}

struct row {
  std::string_view name;
  std::string last; // behind the messages
  unsigned code;    // of the client's Close frame
};

const std::vector<row>& rows() {
  static const std::vector<row> all{
      {"a Close frame", close_of(1000, "done"), 1000},
      {"a Close frame, and the end of the stream is not waited for", close_of(1001), 1001},
      {"a Close frame without a code", frame_of(0x88, ""), 1005},
      {"a Close frame, and frames that must not follow it", close_of(1000) + frame_of(0x81, "too late") + frame_of(0x89, "too late"), 1000},
      {"a frame with RSV3 set (5.2)", frame_of(0x91, "x"), 1002},
      {"a frame with RSV2 set (5.2)", frame_of(0xA1, "x"), 1002},
      {"a ping with RSV1 and RSV3 set (5.2)", frame_of(0xD9, "x"), 1002},
      {"a reserved non-control opcode (5.2)", frame_of(0x85, ""), 1002},
      {"a reserved non-control opcode with a payload (5.2)", frame_of(0x86, "x"), 1002},
      {"a reserved control opcode (5.2)", frame_of(0x8D, ""), 1002},
      {"a reserved control opcode with a payload (5.2)", frame_of(0x8E, "x"), 1002},
      {"a fragmented ping (5.5)", frame_of(0x09, "x"), 1002},
      {"a masked frame (5.1)", std::string{"\x81\x81\0\0\0\0x", 7}, 1002},
      {"a continuation where there is nothing to continue (5.4)", frame_of(0x00, "x") + frame_of(0x81, "x"), 1002},
      {"a text that is not UTF-8 (8.1)", frame_of(0x81, "\xff"), 1007},
      {"the beginning of a text that is not UTF-8 (8.1)", std::string{"\x81\x7d\xff"}, 1007},
      {"a Close frame of one byte (5.5.1)", frame_of(0x88, "x"), 1002},
      {"a Close frame with a code that must not be sent (7.4)", close_of(1006), 1002},
  };
  return all;
}

// Says two messages, one of them in fragments, and the last thing, in one segment; writes down what comes back.
auto says_its_last(const row& r, bool with_the_101, recorder& got) {
  return [&r, with_the_101, &got](raw_connection& peer, int) {
    const std::string all = frame_of(0x81, "first") + frame_of(0x01, "sec") + frame_of(0x80, "ond") + r.last;
    const std::string head = peer.read_head();
    peer.accept_upgrade(head, {}, with_the_101 ? all : std::string{});
    if (!with_the_101) {
      unsigned op = 0;
      (void)peer.read_frame(op); // it is open now
      peer.write(all);
    }
    for (unsigned op = 0; op != 8;) {
      op = 0;
      const std::string payload = peer.read_frame(op);
      if (op == 0) return got.add("end");
      if (op != 8)
        got.add(payload);
      else if (payload.size() < 2)
        got.add("close 1005");
      else
        got.add(fmt::format("close {}", static_cast<unsigned char>(payload[0]) << 8 | static_cast<unsigned char>(payload[1])));
    }
  };
}

std::string expected(const row& r) { return fmt::format("message re: first | message re: second | close {}", r.code); }

std::string story_of(const recorder& got) {
  std::string story;
  for (const std::string& line : got.lines()) story += (story.empty() ? "" : " | ") + (line.starts_with("re:") ? "message " + line : line);
  return story;
}

} // namespace

BOOST_AUTO_TEST_SUITE(ending)

BOOST_AUTO_TEST_CASE(what_a_callback_sends_before_the_last_frame_of_a_read_goes_out_before_the_close) {
  for (const row& r : rows())
    for (const bool with_the_101 : {true, false}) BOOST_TEST_CONTEXT(r.name << (with_the_101 ? ", behind the 101" : "")) {
        recorder got, seen;
        raw_server server{says_its_last(r, with_the_101, got)};
        client c{server.url(), {.reconnect = never}};
        seen.listen_to(c);
        c.on_message([&](const message_view& m) {
          seen.add(fmt::format("message {}", m.text()));
          c.send_text(fmt::format("re: {}", m.text()));
        });
        if (!with_the_101) c.on_open([&] { c.send_text("open"); });
        c.start();
        BOOST_REQUIRE(got.wait_for("close"));
        BOOST_TEST(story_of(got) == expected(r));
        BOOST_REQUIRE(seen.wait_for("close"));
        const std::string code = fmt::format("{}", r.code);
        BOOST_TEST(seen.story() == (with_the_101 ? "open | " : "") + ("message first | message second | disconnected " + code + " | close " + code));
      }
}

BOOST_AUTO_TEST_CASE(what_a_coroutine_sends_before_the_last_frame_of_a_read_goes_out_before_the_close) {
  for (const row& r : rows())
    for (const bool with_the_101 : {true, false}) BOOST_TEST_CONTEXT(r.name << (with_the_101 ? ", behind the 101" : "")) {
        recorder got;
        raw_server server{says_its_last(r, with_the_101, got)};
        client_loop loop;
        loop.run([&]() -> task<void> {
          coroutine_client c{server.url(), {.reconnect = never}};
          BOOST_TEST((co_await c.connect()).has_value());
          if (!with_the_101) (void)co_await c.send_text("open");
          while (true) {
            const auto message = co_await c.receive({.deadline = 5s});
            if (!message) {
              BOOST_TEST((message.error().why == client_end::kind::closed));
              BOOST_TEST(message.error().code == r.code);
              break;
            }
            (void)co_await c.send_text(fmt::format("re: {}", message->text()));
          }
        });
        BOOST_REQUIRE(got.wait_for("close"));
        BOOST_TEST(story_of(got) == expected(r));
      }
}

// The server's Close frame is answered with its code; it was there first. A broken rule was not told yet.
BOOST_AUTO_TEST_CASE(a_disconnect_in_answer_to_the_last_message_is_final) {
  recorder got, seen;
  raw_server server{says_its_last(rows()[1], true, got)};
  client c{server.url(), {.reconnect = {.initial_delay = 1ms}}};
  seen.listen_to(c);
  c.on_message([&](const message_view& m) {
    if (m.text() == "second") c.disconnect(4000, "enough");
  });
  c.start();
  BOOST_REQUIRE(got.wait_for("close"));
  BOOST_TEST(story_of(got) == "close 1001");
  BOOST_REQUIRE(seen.wait_for("close"));
  BOOST_TEST(seen.count("reconnecting") == 0u);
}

// --- a connection that is over before connect() has returned ---

BOOST_AUTO_TEST_CASE(a_connection_that_opened_delivered_and_closed_in_one_read_was_connected) {
  const std::vector<std::pair<std::string, unsigned>> ends{
      {close_of(1000, "done"), 1000}, {close_of(1001), 1001}, {frame_of(0x83, ""), 1002}, {"", 1006}};
  for (const auto& [last, code] : ends) BOOST_TEST_CONTEXT(code) {
      raw_server server{[&](raw_connection& peer, int) {
        const std::string head = peer.read_head();
        peer.accept_upgrade(head, {}, frame_of(0x81, "hello") + frame_of(0x82, "again") + last);
      }};
      client_loop loop;
      loop.run([&]() -> task<void> {
        coroutine_client c{server.url(), {.reconnect = never}};
        const auto connected = co_await c.connect({.deadline = 5s});
        BOOST_TEST(connected.has_value());
        for (const std::string_view text : {"hello", "again"}) {
          const auto message = co_await c.receive({.deadline = 5s});
          BOOST_REQUIRE(message.has_value());
          BOOST_TEST(message->text() == text);
        }
        const auto end = co_await c.receive({.deadline = 5s});
        BOOST_REQUIRE(!end.has_value());
        BOOST_TEST((end.error().why == client_end::kind::closed));
        BOOST_TEST(end.error().code == code);
        // The next one is another connection, with an answer of its own.
        const auto again = co_await c.connect({.deadline = 5s});
        BOOST_TEST(again.has_value());
      });
    }
}

BOOST_AUTO_TEST_CASE(connect_while_a_lost_connection_is_made_again_returns_when_it_is) {
  raw_server server{[](raw_connection& peer, int number) {
    peer.accept_upgrade(peer.read_head());
    if (number == 0) return peer.reset();
    peer.write(frame_of(0x81, "back"));
    peer.wait_for_end();
  }};
  client_loop loop;
  loop.run([&]() -> task<void> {
    coroutine_client c{server.url(), {.reconnect = {.initial_delay = 1ms, .max_delay = 5ms}}};
    BOOST_TEST((co_await c.connect({.deadline = 5s})).has_value());
    while (c.state() == client_state::open) (void)co_await c.receive({.deadline = 1ms});
    BOOST_TEST((co_await c.connect({.deadline = 5s})).has_value());
    const auto message = co_await c.receive({.deadline = 5s});
    BOOST_REQUIRE(message.has_value());
    BOOST_TEST(message->text() == "back");
  });
}

BOOST_AUTO_TEST_SUITE_END()
