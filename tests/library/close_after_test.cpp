// websocket_ref::close_after(): a connection that ends at its time, whatever else happens meanwhile.
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <atomic>
#include <chrono>
#include <string>

using namespace ringcast;
using namespace std::chrono_literals;

namespace {

// A message is a number of milliseconds in which to close, or "stay".
void decide(websocket_ref ws, const message_view& m) {
  if (m.text() == "stay")
    ws.keep_open();
  else
    ws.close_after(std::chrono::milliseconds{std::stoll(std::string{m.text()})}, 4002, "sooner or later");
  ws.send_text("heard");
}

void add_closing_routes(server& s) {
  s.events("/", {.on_open = [](websocket_ref ws) { ws.close_after(300ms, 4001, "over"); }, .on_message = decide, .event_streams = true});
  s.events("/open", {.on_message = decide, .ping_interval_ms = 200}); // so that its timer looks at it early
}

} // namespace

BOOST_AUTO_TEST_SUITE(close_after)

BOOST_AUTO_TEST_CASE(a_connection_ends_when_its_time_is_over_and_not_before) {
  running r(add_closing_routes);
  wire_client silent(r.address());
  (void)silent.upgrade("/");
  const auto begun = std::chrono::steady_clock::now();
  const auto end = silent.receive();
  BOOST_TEST((std::chrono::steady_clock::now() - begun > 200ms)); // of 300; what is too late is no fault of the timer's
  BOOST_REQUIRE(end.has_value());
  BOOST_TEST(end->code() == 4001);
  BOOST_TEST(end->reason() == "over");
}

BOOST_AUTO_TEST_CASE(the_last_call_counts) {
  running r(add_closing_routes);
  wire_client stays(r.address()), later(r.address()), sooner(r.address());
  for (wire_client* each : {&stays, &later, &sooner}) (void)each->upgrade("/");
  stays.send(opcode::text, "stay");
  later.send(opcode::text, "3000");
  sooner.send(opcode::text, "0");
  for (wire_client* each : {&stays, &later, &sooner}) BOOST_TEST(each->text() == "heard");
  BOOST_TEST(sooner.text() == "<close 4002>");
  BOOST_TEST(later.text(500) == "<end>"); // nothing yet: the time of on_open is over
  BOOST_TEST(later.text(20'000) == "<close 4002>");
  stays.send(opcode::text, "stay");
  BOOST_TEST(stays.text() == "heard");
}

BOOST_AUTO_TEST_CASE(it_holds_in_the_middle_of_a_message_and_for_a_stream_and_goes_with_the_connection) {
  running r(add_closing_routes, {.shards = 1});
  wire_client inside(r.address()), stream(r.address());
  (void)inside.upgrade("/");
  inside.send(opcode::text, "half a ", false);
  BOOST_TEST(inside.text() == "<close 4001>");
  const std::string heard = stream.http("GET / HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n");
  BOOST_TEST(heard.starts_with("HTTP/1.1 200"));
  BOOST_TEST(stream.until("4001").ends_with("{\"code\":4001"));
  // Who takes the slot of one that has gone does not inherit its end.
  {
    wire_client gone(r.address());
    (void)gone.upgrade("/open");
    gone.send(opcode::text, "100");
    BOOST_TEST(gone.text() == "heard");
    gone.close(1000);
    BOOST_TEST(gone.text() == "<close 1000>");
  }
  wire_client next(r.address());
  (void)next.upgrade("/open");
  const auto first = next.receive();
  BOOST_REQUIRE(first.has_value());
  BOOST_TEST((first->op == opcode::ping)); // and no Close when its timer looked
}

BOOST_AUTO_TEST_SUITE_END()
