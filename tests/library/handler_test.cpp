// Requests and their coroutine handlers.
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <atomic>
#include <chrono>
#include <stdexcept>

using namespace ringcast;
using namespace std::chrono_literals;

namespace {

task<void> echo(request& req) {
  if (!req.is_websocket_upgrade()) co_return req.respond(status::bad_request, "this endpoint speaks WebSocket");
  websocket ws = co_await req.upgrade();
  while (auto message = co_await ws.receive()) co_await ws.send(*message);
}

} // namespace

BOOST_AUTO_TEST_SUITE(handlers)

BOOST_AUTO_TEST_CASE(a_coroutine_echoes) {
  running server{[](auto& s) { s.get("/echo", echo); }};
  for (int i = 0; i < 4; ++i) {
    wire_client c{server.address()};
    BOOST_TEST(c.upgrade("/echo").starts_with("HTTP/1.1 101"));
    for (const std::size_t size : {0u, 1u, 125u, 126u, 5000u, 65536u, 300000u}) {
      const std::string sent(size, 'x');
      c.send(opcode::text, sent);
      BOOST_TEST((c.text() == sent), "a message of " << size << " bytes");
    }
    c.send(opcode::text, "in two ", false);
    c.send(opcode::continuation, "fragments");
    BOOST_TEST(c.text() == "in two fragments");
    c.close(1000);
    BOOST_TEST(c.text() == "<close 1000>");
    BOOST_TEST(c.ended());
  }
}

BOOST_AUTO_TEST_CASE(many_messages_in_one_buffer_come_back_in_order) {
  running server{[](auto& s) { s.get("/echo", echo); }};
  wire_client c{server.address()};
  (void)c.upgrade("/echo");
  std::string all;
  for (int i = 0; i < 1000; ++i) all += masked_frame(opcode::text, std::to_string(i));
  c.send_bytes(all);
  for (int i = 0; i < 1000; ++i) BOOST_REQUIRE(c.text() == std::to_string(i));
}

BOOST_AUTO_TEST_CASE(what_is_no_upgrade_is_answered_400_as_json) {
  running server{[](auto& s) { s.get("/echo", echo); }};
  wire_client c{server.address()};
  const std::string answer = c.http("GET /echo HTTP/1.1\r\nHost: t\r\n\r\n");
  BOOST_TEST(answer.starts_with("HTTP/1.1 400"));
  BOOST_TEST(answer.ends_with(R"({"error":"this endpoint speaks WebSocket"})"));
}

BOOST_AUTO_TEST_CASE(a_request_tells_what_was_asked) {
  running server{[](auto& s) {
    s.post("/rooms/{room}", [](request& req) -> task<void> {
      co_await sleep_for(5ms); // the head of the request was received in another turn
      std::string seen{req.method()};
      seen += '|' + std::string{req.path("room")} + '|' + req.query("name") + '|' + std::string{req.header("x-color")} + '|';
      seen += std::string{req.body_text()} + '|' + (req.peer().text().starts_with("127.0.0.1:") ? "here" : "there");
      req.respond(status::ok, seen);
    });
  }};
  wire_client c{server.address()};
  for (int i = 0; i < 3; ++i) {
    const std::string answer = c.http("POST /rooms/a%20b?name=J%C3%B6rg HTTP/1.1\r\nHost: t\r\nX-Color: red\r\nContent-Length: 4\r\n\r\nbody");
    BOOST_TEST(answer.ends_with("POST|a b|J\xc3\xb6rg|red|body|here"));
  }
}

BOOST_AUTO_TEST_CASE(a_handler_that_throws_before_the_upgrade_answers_500) {
  set_log_level(log_level::off);
  running server{[](auto& s) {
    s.get("/throws", [](request&) -> task<void> {
      throw std::runtime_error("no");
      co_return;
    });
    s.get("/silent", [](request&) -> task<void> { co_return; });
  }};
  wire_client c{server.address()};
  BOOST_TEST(c.http("GET /throws HTTP/1.1\r\nHost: t\r\n\r\n").starts_with("HTTP/1.1 500"));
  BOOST_TEST(c.http("GET /silent HTTP/1.1\r\nHost: t\r\n\r\n").starts_with("HTTP/1.1 500"));
  set_log_level(log_level::info);
}

BOOST_AUTO_TEST_CASE(a_handler_that_throws_behind_the_upgrade_closes_with_1011_and_disturbs_nobody) {
  set_log_level(log_level::off);
  running server{[](auto& s) {
    s.get("/echo", echo);
    s.get("/throws", [](request& req) -> task<void> {
      websocket ws = co_await req.upgrade();
      (void)co_await ws.receive();
      throw std::runtime_error("no");
    });
  }};
  wire_client other{server.address()}, c{server.address()};
  (void)other.upgrade("/echo");
  (void)c.upgrade("/throws");
  c.send(opcode::text, "x");
  BOOST_TEST(c.text() == "<close 1011>");
  other.send(opcode::text, "still here");
  BOOST_TEST(other.text() == "still here");
  set_log_level(log_level::info);
}

BOOST_AUTO_TEST_CASE(subprotocols_are_agreed_on_in_the_servers_order) {
  running server{[](auto& s) {
    s.get("/", [](request& req) -> task<void> {
      websocket ws = co_await req.upgrade({.subprotocols = {"b", "a"}});
      co_await ws.send_text(ws.subprotocol());
      (void)co_await ws.receive();
    });
  }};
  wire_client c{server.address()}, none{server.address()};
  BOOST_TEST(c.upgrade("/", "Sec-WebSocket-Protocol: a, b\r\n").find("Sec-WebSocket-Protocol: b\r\n") != std::string::npos);
  BOOST_TEST(c.text() == "b");
  (void)none.upgrade("/");
  BOOST_TEST(none.text() == "");
}

BOOST_AUTO_TEST_CASE(a_stopping_server_ends_receive_with_1001_and_lets_handlers_finish) {
  std::atomic<int> ended{0};
  {
    running server{[&](auto& s) {
      s.get("/", [&](request& req) -> task<void> {
        websocket ws = co_await req.upgrade();
        while (auto message = co_await ws.receive()) co_await ws.send(*message);
        const auto end = co_await ws.receive();
        if (!end && end.error().code == 1001) ++ended;
        (void)co_await sleep_for(1h); // ends at once
        ++ended;
      });
    }};
    wire_client c{server.address()};
    (void)c.upgrade("/");
    c.send(opcode::text, "x");
    BOOST_TEST(c.text() == "x");
    server.s.stop();
    BOOST_TEST(c.text() == "<close 1001>");
    c.close(1001);
    server.s.wait();
  }
  BOOST_TEST(ended == 2);
}

BOOST_AUTO_TEST_CASE(spawned_tasks_and_locks_work_in_handlers) {
  running server{[](auto& s) {
                   s.get("/", [](request& req) -> task<void> {
                     thread_local mutex one;
                     thread_local int inside = 0;
                     const auto guard = co_await one.scoped_lock();
                     const int before = inside++;
                     co_await sleep_for(2ms);
                     --inside;
                     req.respond(status::ok, before == 0 ? "alone" : "crowded");
                   });
                 },
                 {.shards = 1}};
  wire_client a{server.address()}, b{server.address()}, c{server.address()};
  for (wire_client* each : {&a, &b, &c}) each->send_bytes("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
  for (wire_client* each : {&a, &b, &c}) BOOST_TEST(each->http("").ends_with("alone"));
}

BOOST_AUTO_TEST_SUITE_END()
