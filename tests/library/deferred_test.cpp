// Requests of the event face that are decided later: upgrades that wait for somebody, peers that go meanwhile, stops.
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <thread>

using namespace ringcast;
using namespace std::chrono_literals;

namespace {

// What the callbacks of an endpoint have seen.
struct seen {
  std::atomic<int> asked{0}, opened{0}, discarded{0}, closed{0};
  std::atomic<void*> user{nullptr};
};

int known_user = 0;

websocket_endpoint told_to(seen& of) {
  return {.on_upgrade =
              [&of](upgrade_request_view& up) {
                ++of.asked;
                of.user = user_of(up);
                if (up.request().query("refuse")) up.refuse(http_status::forbidden, "not you");
              },
          .on_discard = [&of](void*) { ++of.discarded; },
          .on_open =
              [&of](websocket_ref ws) {
                ++of.opened;
                ws.send_text(ws.user() == &known_user ? "known" : "unknown");
              },
          .on_message = [](websocket_ref ws, const message_view& m) { ws.send(m); },
          .on_close = [&of](websocket_ref, std::uint16_t, std::string_view) { ++of.closed; }};
}

// A route whose requests wait for an event, in a coroutine.
void add_waiting(server& s, const websocket_endpoint& endpoint, const event& decided) {
  s.routes().add("GET", "/later", [&endpoint, decided](const http_request& request, http_responder responder) {
    spawn([](deferred_request received, const websocket_endpoint& to, event until) -> task<void> {
      if (co_await until.wait() != wait_result::done) co_return;
      received.upgrade(to, &known_user);
    }({request, responder}, endpoint, decided));
  });
}

bool happens(const std::function<bool()>& what) {
  for (int i = 0; i < 5000 && !what(); ++i) std::this_thread::sleep_for(1ms);
  return what();
}

} // namespace

BOOST_AUTO_TEST_SUITE(deferred_requests)

BOOST_AUTO_TEST_CASE(an_upgrade_waits_for_its_decision_and_is_then_one_of_the_event_face) {
  seen of;
  const websocket_endpoint endpoint = told_to(of);
  const event decided;
  running server{[&](auto& s) { add_waiting(s, endpoint, decided); }};
  wire_client c{server.address()};
  std::jthread later{[&] {
    std::this_thread::sleep_for(50ms);
    BOOST_TEST(of.asked == 0);
    decided.set();
  }};
  BOOST_TEST(c.upgrade("/later").starts_with("HTTP/1.1 101"));
  BOOST_TEST(c.text() == "known");
  c.send(opcode::text, "hello");
  BOOST_TEST(c.text() == "hello");
  BOOST_TEST(of.user == &known_user);
  c.close(1000);
  BOOST_TEST(happens([&] { return of.closed == 1; }));
  BOOST_TEST(of.discarded == 0);
}

BOOST_AUTO_TEST_CASE(what_was_given_to_an_upgrade_that_comes_to_nothing_comes_back_once) {
  seen of;
  const websocket_endpoint endpoint = told_to(of);
  const event decided;
  decided.set();
  running server{[&](auto& s) { add_waiting(s, endpoint, decided); }};
  wire_client refused{server.address()}, plain{server.address()};
  BOOST_TEST(refused.upgrade("/later?refuse=1").starts_with("HTTP/1.1 403"));
  BOOST_TEST(happens([&] { return of.discarded == 1; }));
  BOOST_TEST(plain.http("GET /later HTTP/1.1\r\nHost: t\r\n\r\n").starts_with("HTTP/1.1 400")); // no upgrade: on_upgrade is not asked
  BOOST_TEST(happens([&] { return of.discarded == 2; }));
  BOOST_TEST(of.asked == 1);
  BOOST_TEST(of.opened == 0);
}

BOOST_AUTO_TEST_CASE(a_peer_that_goes_while_it_waits_is_no_websocket) {
  seen of;
  const websocket_endpoint endpoint = told_to(of);
  const event decided;
  running server{[&](auto& s) { add_waiting(s, endpoint, decided); }};
  const auto connections = [&] { return server.s.statistics_future().get().total().http_connections; };
  {
    wire_client gone{server.address()};
    gone.send_bytes("GET /later HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: "
                    "13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    BOOST_TEST(happens([&] { return connections() == 1; }));
    gone.reset();
  }
  BOOST_TEST(happens([&] { return connections() == 0; }));
  decided.set();
  BOOST_TEST(happens([&] { return of.discarded == 1; }));
  BOOST_TEST(of.asked == 0);
}

BOOST_AUTO_TEST_CASE(whoever_is_never_answered_hears_500_and_503_when_the_server_stops) {
  const event never;
  std::string at_stop;
  {
    seen of;
    const websocket_endpoint endpoint = told_to(of);
    std::optional<wire_client> waits;
    std::jthread hears;
    {
      running server{[&](auto& s) {
        add_waiting(s, endpoint, never);
        s.routes().add("GET", "/dropped", [](const http_request& request, http_responder responder) { deferred_request{request, responder}; });
      }};
      wire_client dropped{server.address()};
      BOOST_TEST(dropped.http("GET /dropped HTTP/1.1\r\nHost: t\r\n\r\n").starts_with("HTTP/1.1 500"));
      waits.emplace(server.address());
      hears = std::jthread{[&] { at_stop = waits->upgrade("/later"); }};
      BOOST_TEST(happens([&] { return server.s.statistics_future().get().total().http_connections == 2; }));
      std::this_thread::sleep_for(20ms);
    }
  }
  BOOST_TEST(at_stop.starts_with("HTTP/1.1 503"), at_stop);
}

BOOST_AUTO_TEST_CASE(a_request_is_handed_on_whole_and_a_handler_that_throws_has_answered_500) {
  running server{[](auto& s) {
    s.routes().add("POST", "/{word}", [](const http_request& request, http_responder responder) {
      spawn([](deferred_request received) -> task<void> {
        co_await sleep_for(1ms);
        received.hand_on([](const http_request& again, http_responder to) {
          if (again.parameter("word") == "throw") throw std::runtime_error("no");
          to.respond(http_status::ok, "text/plain",
                     std::string{again.parameter("word")} + " " + again.query("q").value_or("") + " " + std::string{again.header("X-One")} + " " +
                         std::string{reinterpret_cast<const char*>(again.body.data()), again.body.size()});
        });
      }({request, responder}));
    });
  }};
  wire_client c{server.address()};
  const std::string answer = c.http("POST /a?q=b HTTP/1.1\r\nHost: t\r\nX-One: c\r\nContent-Length: 4\r\n\r\nbody");
  BOOST_TEST(answer.ends_with("a b c body"), answer);
  BOOST_TEST(c.http("POST /throw HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n").starts_with("HTTP/1.1 500"));
}

BOOST_AUTO_TEST_SUITE_END()
