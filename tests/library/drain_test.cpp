// server::drain() and server::change() in a program of somebody else.
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <chrono>
#include <deque>
#include <set>
#include <string>
#include <thread>

using namespace ringcast;
using namespace std::chrono_literals;

namespace {

void add_routes(server& s) {
  s.events("/room", {.on_upgrade = [](upgrade_request_view& u) { u.take_seat("room"); },
                     .on_message = [](websocket_ref ws, const message_view& m) { ws.broadcast(m.op, m.payload); }});
}

} // namespace

BOOST_AUTO_TEST_SUITE(draining_and_changing)

BOOST_AUTO_TEST_CASE(members_hear_what_was_queued_and_1001_and_the_server_is_not_ready_meanwhile) {
  running r{add_routes};
  std::deque<wire_client> members;
  for (int i = 0; i < 10; ++i) BOOST_REQUIRE(members.emplace_back(r.address()).upgrade("/room").starts_with("HTTP/1.1 101"));
  BOOST_TEST(r.s.is_ready());
  const auto queued = r.s.room("room").broadcast_future(opcode::text, std::as_bytes(std::span{"last", 4})).get();
  BOOST_TEST(queued.queued == 10u);
  r.s.drain({.delay_ms = 0, .spread_ms = 300});
  BOOST_TEST(!r.s.is_ready());
  std::uint64_t most_left = 0;
  for (wire_client& member : members) {
    most_left = std::max(most_left, r.s.left_to_drain());
    BOOST_TEST(member.text() == "last");
    BOOST_TEST(member.text() == "<close 1001>");
    member.close(1001);
  }
  r.s.wait();
  BOOST_TEST(most_left <= 10u);
}

BOOST_AUTO_TEST_CASE(members_are_told_when_to_come_back_one_after_the_other) {
  constexpr int count = 40;
  const auto tells = [](server& s) {
    s.events("/told",
             {.on_going_away = [](websocket_ref ws, std::chrono::milliseconds retry_after) { ws.send_text(std::to_string(retry_after.count())); }});
    s.events("/thrown", {.on_going_away = [](websocket_ref, std::chrono::milliseconds) { throw 7; }});
    s.events("/closes", {.on_going_away = [](websocket_ref ws, std::chrono::milliseconds) { ws.close(4000, "by itself"); }});
  };
  running r{tells, {.shards = 1}};
  std::deque<wire_client> members;
  for (int i = 0; i < count; ++i) BOOST_REQUIRE(members.emplace_back(r.address()).upgrade("/told").starts_with("HTTP/1.1 101"));
  wire_client thrown{r.address()}, closes{r.address()};
  BOOST_REQUIRE(thrown.upgrade("/thrown").starts_with("HTTP/1.1 101"));
  BOOST_REQUIRE(closes.upgrade("/closes").starts_with("HTTP/1.1 101"));
  r.s.drain({.delay_ms = 0, .spread_ms = 250, .retry_after_ms = 5'000});
  std::set<int> told;
  for (wire_client& member : members) {
    told.insert(std::stoi(member.text()));
    BOOST_TEST(member.text() == "<close 1001>");
    member.close(1001);
  }
  // Within the time of a look, and of those of one look no two together.
  BOOST_TEST(*told.begin() >= 5'000);
  BOOST_TEST(*told.rbegin() < 5'100);
  BOOST_TEST(told.size() >= 10u);
  BOOST_TEST(thrown.text() == "<close 1011>");
  BOOST_TEST(closes.text() == "<close 4000>");
  thrown.close(1011);
  closes.close(4000);
  r.s.wait();
}

BOOST_AUTO_TEST_CASE(a_drain_before_the_start_is_a_stop_and_a_stop_ends_one) {
  server never{{.listen = {"127.0.0.1:0"}}};
  never.drain();
  BOOST_TEST(!never.start().has_value());

  running r{add_routes};
  wire_client member{r.address()};
  BOOST_REQUIRE(member.upgrade("/room").starts_with("HTTP/1.1 101"));
  r.s.drain({.delay_ms = 3'600'000, .spread_ms = 3'600'000});
  r.s.drain(); // the first one holds
  member.send(opcode::text, "still here");
  BOOST_TEST(member.text() == "still here");
  r.s.stop();
  BOOST_TEST(member.text() == "<close 1001>");
}

BOOST_AUTO_TEST_CASE(a_changed_limit_holds_for_who_is_there_and_a_wrong_one_changes_nothing) {
  running r{add_routes, {.shards = 1}};
  wire_client member{r.address()};
  BOOST_REQUIRE(member.upgrade("/room").starts_with("HTTP/1.1 101"));
  server_options wanted{.limits = {.message_bytes_max = 10}, .allowed_origins = {"nonsense"}};
  BOOST_TEST(!r.s.change(wanted).has_value());
  member.send(opcode::text, "more than ten bytes");
  BOOST_TEST(member.text() == "more than ten bytes");
  wanted.allowed_origins = {"http://a"};
  BOOST_TEST(r.s.change(wanted).has_value());
  // The shard takes it up in its next turn.
  while (!wire_client{r.address()}.upgrade("/room", "Origin: http://b\r\n").starts_with("HTTP/1.1 403")) std::this_thread::sleep_for(1ms);
  wire_client other{r.address()};
  BOOST_TEST(other.upgrade("/room", "Origin: http://a\r\n").starts_with("HTTP/1.1 101"));
  member.send(opcode::text, "more than ten bytes");
  BOOST_TEST(member.text() == "<close 1009>");
  BOOST_TEST(!server{}.change({}).has_value()); // before its start
}

BOOST_AUTO_TEST_SUITE_END()
