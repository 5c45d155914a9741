// A client that comes back to a room with its position: it asks for what is behind it, takes the numbers off, hears nothing twice, and says
// whether something is missing. The rooms are written by hand here; those of ringcast-server are in
// tests/interop/resuming_client.test.mjs.
#include "engine/client/room_resume.hpp"
#include "raw_server.hpp"
#include "recorder.hpp"

#include <boost/test/unit_test.hpp>
#include <fmt/format.h>
#include <ringcast/coroutine_client.hpp>

using namespace ringcast;
using namespace ringcast::engine;
using namespace std::chrono_literals;

namespace {

using kind = room_resume::kind;

constexpr unsigned text_frame = 0x81, binary_frame = 0x82, ping_frame = 0x89;
constexpr reconnect_policy at_once{.initial_delay = 1ms, .max_delay = 5ms, .jitter = reconnect_policy::jitter_kind::none};

std::string hello(std::uint64_t epoch, std::uint64_t newest, bool resumed) {
  return fmt::format(R"({{"room":"a \"b\",","epoch":"{:016x}","seq":{},"resumed":{}}})", epoch, newest, resumed);
}
std::string numbered(std::uint64_t number, std::string_view text) { return frame_of(text_frame, fmt::format("{}\n{}", number, text)); }

room_resume::taken take(room_resume& at, std::string_view text) { return at.take(opcode::text, std::as_bytes(std::span{text})); }

// What each connection was asked for, and what it sends after the answer, all in one write; then it is cut, but for the last one.
struct scripted_room {
  explicit scripted_room(std::vector<std::string> sends)
      : server([this, sends = std::move(sends)](raw_connection& peer, int number) {
          const std::string head = peer.read_head();
          asked.add(head.substr(4, head.find(' ', 4) - 4));
          const auto at = std::min(static_cast<std::size_t>(number), sends.size() - 1);
          peer.accept_upgrade(head, {}, sends[at]);
          if (at + 1 == sends.size()) return peer.wait_for_end();
          (void)told.wait_for("message " + std::string{last_of(sends[at])});
          peer.reset();
        }) {}
  static std::string_view last_of(const std::string& sent) { return std::string_view{sent}.substr(sent.rfind('\n') + 1); }

  recorder asked, told;
  raw_server server;
};

void listen(client& c, recorder& told) {
  told.listen_to(c);
  c.on_message([&](const message_view& m) { told.add(fmt::format("message {}", m.text())); });
  c.on_resumed(
      [&](const room_position& heard, const room_position& newest) { told.add(fmt::format("resumed {} {}", heard.sequence, newest.sequence)); });
  c.on_gap([&](const room_position& heard, const room_position& newest) { told.add(fmt::format("gap {} {}", heard.sequence, newest.sequence)); });
}

} // namespace

BOOST_AUTO_TEST_SUITE(resume)

BOOST_AUTO_TEST_CASE(it_comes_back_to_where_it_was_and_hears_each_message_once) {
  scripted_room room{{frame_of(text_frame, hello(7, 40, false)) + numbered(41, "a") + numbered(42, "b"),
                      frame_of(text_frame, hello(7, 44, true)) + numbered(42, "b") + numbered(43, "c") + numbered(44, "d"),
                      frame_of(text_frame, hello(7, 44, true)) + numbered(45, "e")}};
  client c{room.server.url("/broadcast/x?self=0"), {.reconnect = at_once, .resume = true}};
  listen(c, room.told);
  c.start();
  BOOST_REQUIRE(room.told.wait_for("message e"));
  BOOST_TEST(room.told.story() == "open | message a | message b | disconnected 1006 | reconnecting 1 | reconnected | resumed 42 | message c | "
                                  "message d | disconnected 1006 | reconnecting 1 | reconnected | resumed 44 | message e");
  const std::vector<std::string> expected{"/broadcast/x?self=0&seq=1", "/broadcast/x?self=0&seq=1&since=0000000000000007:42",
                                          "/broadcast/x?self=0&seq=1&since=0000000000000007:44"};
  BOOST_TEST(room.asked.lines() == expected, boost::test_tools::per_element());
  BOOST_TEST(c.counts().received == 5u); // Neither the first message of a connection, nor one that was heard already.
}

BOOST_AUTO_TEST_CASE(it_comes_back_when_a_server_that_goes_away_has_asked_it_to) {
  recorder told;
  raw_server server{[&](raw_connection& peer, int number) {
    const std::string head = peer.read_head();
    peer.accept_upgrade(head, {}, frame_of(text_frame, hello(7, 41, number > 0)) + (number > 0 ? numbered(42, "b") : numbered(41, "a")));
    if (number > 0) return peer.wait_for_end();
    peer.write(frame_of(text_frame, R"({"retry_after":0.275})") + frame_of(0x88, "\x03\xe9"));
    peer.wait_for_end();
  }};
  client c{server.url("/broadcast/x"), {.reconnect = at_once, .resume = true, .resume_from = room_position{7, 40}}};
  listen(c, told);
  c.on_reconnecting([&](unsigned attempt, std::chrono::milliseconds delay) { told.add(fmt::format("attempt {} in {}", attempt, delay.count())); });
  c.start();
  BOOST_REQUIRE(told.wait_for("message b"));
  BOOST_TEST(told.lines().at(4) == "attempt 1 in 275");
  BOOST_TEST(c.counts().received == 2u);
}

BOOST_AUTO_TEST_CASE(a_notice_is_read_to_its_last_byte) {
  room_resume at{"/broadcast/x", std::nullopt};
  BOOST_REQUIRE((take(at, hello(7, 40, false)).what == kind::joined));
  for (const auto& [text, ms] : {std::pair{R"({"retry_after":0})", 0}, {R"({"retry_after":1.029})", 1029}, {R"({"retry_after":60.000})", 60'000}}) {
    const room_resume::taken got = take(at, text);
    BOOST_TEST((got.what == kind::going_away && got.retry_after == std::chrono::milliseconds{ms}), text);
  }
  for (const char* wrong : {R"({"retry_after":})", R"({"retry_after":-1})", R"({"retry_after":1e300})", R"({"retry_after":nan})",
                            R"({"retry_after":inf})", R"({"retry_after":1)", R"({"retry_after":1} )", R"({"retry_after":"1"})", R"({"gap":1})", "{"})
    BOOST_TEST((take(at, wrong).what == kind::broken), wrong);
  BOOST_TEST((take(at, "41\na").what == kind::message));
}

BOOST_AUTO_TEST_CASE(what_was_said_while_nothing_had_been_heard_is_asked_for_too) {
  recorder asked, told;
  raw_server server{[&](raw_connection& peer, int number) {
    const std::string head = peer.read_head();
    asked.add(head.substr(4, head.find(' ', 4) - 4));
    if (number > 0) {
      peer.accept_upgrade(head, {}, frame_of(text_frame, hello(7, 41, true)) + numbered(41, "a"));
      return peer.wait_for_end();
    }
    peer.accept_upgrade(head, {}, frame_of(text_frame, hello(7, 40, false)) + frame_of(ping_frame, ""));
    unsigned op = 0;
    (void)peer.read_frame(op); // The pong: what stood in front of the ping has been read.
    peer.reset();
  }};
  client c{server.url("/broadcast/x"), {.reconnect = at_once, .resume = true}};
  listen(c, told);
  c.start();
  BOOST_REQUIRE(told.wait_for("message a"));
  BOOST_TEST(asked.lines().at(1) == "/broadcast/x?seq=1&since=0000000000000007:40");
  BOOST_TEST(told.story() == "open | disconnected 1006 | reconnecting 1 | reconnected | resumed 40 | message a");
}

BOOST_AUTO_TEST_CASE(a_gap_is_told_in_front_of_what_comes_behind_it) {
  scripted_room room{{frame_of(text_frame, hello(7, 0, false)) + numbered(1, "a") + numbered(4, "b"), // the slow-consumer policy took two
                      frame_of(text_frame, hello(7, 90, false)) + numbered(90, "c"),                  // not kept
                      frame_of(text_frame, hello(8, 2, false)) + numbered(1, "d") + numbered(2, "e")}}; // the server began anew
  client c{room.server.url("/broadcast/x"), {.reconnect = at_once, .resume = true}};
  listen(c, room.told);
  c.start();
  BOOST_REQUIRE(room.told.wait_for("message e"));
  BOOST_TEST(room.told.story() == "open | message a | gap 1 | message b | disconnected 1006 | reconnecting 1 | reconnected | gap 4 | message c | "
                                  "disconnected 1006 | reconnecting 1 | reconnected | gap 90 | message d | message e");
  BOOST_TEST(room.asked.lines().at(2) == "/broadcast/x?seq=1&since=0000000000000007:90");
}

BOOST_AUTO_TEST_CASE(position_is_told_beside_the_message_and_a_later_run_goes_on_from_it) {
  std::string binary(8, '\0');
  binary[7] = 42;
  scripted_room room{{frame_of(text_frame, hello(7, 41, true)) + frame_of(binary_frame, binary + "bytes")}};
  client c{room.server.url("/broadcast/x?seq=1"), {.resume = true, .resume_from = room_position{7, 40}}};
  c.on_resumed([&](const room_position& heard, const room_position&) { room.told.add("resumed " + text_of(heard)); });
  c.on_gap([&](const room_position& heard, const room_position& newest) { room.told.add("gap " + text_of(heard) + " " + text_of(newest)); });
  c.on_message([&](const message_view& m) { room.told.add(fmt::format("{} at {}", m.text(), text_of(c.position().value()))); });
  c.start();
  BOOST_REQUIRE(room.told.wait_for("bytes"));
  const std::vector<std::string> expected{"resumed 0000000000000007:40", "gap 0000000000000007:40 0000000000000007:41",
                                          "bytes at 0000000000000007:42"};
  BOOST_TEST(room.told.lines() == expected, boost::test_tools::per_element());
  BOOST_TEST(room.asked.lines().front() == "/broadcast/x?seq=1&since=0000000000000007:40");
}

BOOST_AUTO_TEST_CASE(a_server_that_does_not_number_is_refused_and_not_asked_again) {
  for (const std::string& sent :
       {frame_of(text_frame, "hello"), frame_of(binary_frame, "hello"), frame_of(text_frame, hello(7, 1, false)) + frame_of(text_frame, "no number"),
        frame_of(text_frame, hello(7, 1, true)), frame_of(text_frame, hello(0, 1, false)),
        frame_of(text_frame, hello(7, 1, false)) + frame_of(binary_frame, "1234567")}) {
    recorder told;
    raw_server server{[&](raw_connection& peer, int) {
      peer.accept_upgrade(peer.read_head(), {}, sent);
      unsigned op = 0;
      const std::string close = peer.read_frame(op);
      told.add(fmt::format("server {} {}", op & 15, close.substr(0, 2) == "\x03\xea"));
      peer.write(frame_of(0x88, close.substr(0, 2)));
      peer.wait_for_end();
    }};
    client c{server.url("/broadcast/x"), {.reconnect = at_once, .resume = true}};
    told.listen_to(c);
    c.start();
    BOOST_REQUIRE(told.wait_for("close 1002"));
    BOOST_TEST(told.count("error bad_handshake") == 1u);
    BOOST_TEST(told.count("server 8 true") == 1u);
    BOOST_TEST(told.count("message") == 0u);
    BOOST_TEST(told.count("reconnecting") == 0u);
  }
}

BOOST_AUTO_TEST_CASE(a_position_stands_in_one_place) {
  BOOST_CHECK_THROW((client{"ws://127.0.0.1:1/broadcast/x?since=0000000000000007:1", {.resume = true}}), std::invalid_argument);
  BOOST_CHECK_THROW((client{"ws://127.0.0.1:1/broadcast/x?a=b&since", {.resume = true}}), std::invalid_argument);
  BOOST_CHECK_NO_THROW((client{"ws://127.0.0.1:1/broadcast/x?since=0000000000000007:1", {}}));
  BOOST_CHECK_NO_THROW((client{"ws://127.0.0.1:1/broadcast/since=?insince=1", {.resume = true}}));
}

BOOST_AUTO_TEST_CASE(a_coroutine_is_told_the_position_and_the_gap_of_what_it_receives) {
  scripted_room room{{frame_of(text_frame, hello(7, 0, false)) + numbered(1, "a") + numbered(2, "b"),
                      frame_of(text_frame, hello(7, 9, false)) + numbered(9, "c") + numbered(10, "d")}};
  client_loop loop;
  loop.run([&]() -> task<void> {
    coroutine_client c{room.server.url("/broadcast/x"), {.reconnect = at_once, .resume = true}};
    BOOST_REQUIRE(co_await c.connect({.deadline = 10s}));
    BOOST_TEST(!c.position().has_value());
    for (int i = 0; i < 4; ++i) {
      const auto message = co_await c.receive({.deadline = 10s});
      BOOST_REQUIRE(message.has_value());
      room.told.add(fmt::format("message {}", message->text()));
      room.told.add(fmt::format("at {} {}", c.position().value().sequence, c.is_behind_gap()));
    }
  });
  const std::vector<std::string> expected{"message a", "at 1 false", "message b", "at 2 false", "message c", "at 9 true", "message d", "at 10 false"};
  BOOST_TEST(room.told.lines() == expected, boost::test_tools::per_element());
}

// ---- the rules by themselves

BOOST_AUTO_TEST_CASE(history_is_asked_for_until_something_has_been_heard) {
  room_resume at{"/r?history=5", {}};
  BOOST_TEST((take(at, hello(7, 40, false)).what == kind::joined));
  BOOST_TEST(at.target() == "/r?history=5&seq=1"); // cut off here, the same history is wanted again
  BOOST_TEST((take(at, "36\nx").what == kind::message));
  BOOST_TEST(at.target() == "/r?history=5&seq=1&since=0000000000000007:36");
}

BOOST_AUTO_TEST_CASE(a_place_that_the_room_has_not_come_to_is_none) {
  room_resume at{"/r", room_position{7, 100}};
  BOOST_TEST((take(at, hello(7, 3, false)).what == kind::gap));
  BOOST_TEST((take(at, "3\nx").what == kind::message));
  // And it is not resumed from either.
  room_resume other{"/r", room_position{7, 100}};
  BOOST_TEST((take(other, hello(7, 3, true)).what == kind::broken));
}

BOOST_AUTO_TEST_CASE(numbers_at_their_bounds) {
  room_resume at{"/r", {}};
  BOOST_TEST((take(at, hello(UINT64_MAX, UINT64_MAX - 1, false)).what == kind::joined));
  for (const std::string_view broken : {"", "\n", "-1\nx", "+1\nx", "18446744073709551616\nx", "1", " 1\nx", "1 \nx"}) {
    room_resume fresh{"/r", {}};
    (void)take(fresh, hello(7, 1, false));
    BOOST_TEST((take(fresh, broken).what == kind::broken), broken);
  }
  BOOST_TEST((take(at, "0\nx").what == kind::repeated));
  const auto last = take(at, "18446744073709551615\n");
  BOOST_TEST((last.what == kind::message));
  BOOST_TEST(last.head_bytes == 21u);
  BOOST_TEST((take(at, "18446744073709551615\n").what == kind::repeated));
  BOOST_TEST(at.target().size() <= at.longest_target().size());
}

BOOST_AUTO_TEST_SUITE_END()
