// What runs on a shard beside its connections: hooks at the start, tasks that are joined, cancelled and waited for together.
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>

using namespace ringcast;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(tasks)

BOOST_AUTO_TEST_CASE(a_hook_runs_once_on_each_shard_before_the_first_request_and_what_it_spawns_lives_until_the_stop) {
  set_log_level(log_level::off); // one hook throws
  std::array<std::atomic<int>, 2> began{}, ended{};
  std::atomic<int> plain{0}, ticks{0};
  {
    running server{[&](auto& s) {
                     s.on_start([](std::uint32_t) { throw std::runtime_error("no"); });
                     s.on_start([&](std::uint32_t shard) {
                       if (s.this_shard() == shard) ++plain;
                     });
                     s.on_start([&](std::uint32_t shard) -> task<void> {
                       ++began[shard];
                       (void)s.room("clock").broadcast("a room is there from the first turn on");
                       while (co_await sleep_for(1ms) == sleep_result::elapsed) ++ticks;
                       ++ended[shard];
                     });
                     s.get("/began", [&](request& req) -> task<void> {
                       req.respond(status::ok, std::to_string(began[s.this_shard().value()].load()));
                       co_return;
                     });
                   },
                   {.shards = 2}};
    BOOST_CHECK_THROW(server.s.on_start([](std::uint32_t) {}), std::logic_error);
    for (int i = 0; i < 8; ++i) BOOST_TEST(wire_client{server.address()}.http("GET /began HTTP/1.1\r\nHost: t\r\n\r\n").ends_with("\r\n1"));
    for (int i = 0; i < 2000 && ticks < 10; ++i) std::this_thread::sleep_for(1ms);
  }
  set_log_level(log_level::info);
  BOOST_TEST(plain.load() == 2);
  BOOST_TEST(ticks.load() >= 10);
  for (std::size_t shard = 0; shard < 2; ++shard) BOOST_TEST((began[shard] == 1 && ended[shard] == 1));
}

// A task of a connection that sends by itself, and ends with it.
BOOST_AUTO_TEST_CASE(a_handler_cancels_and_joins_the_task_that_it_spawned) {
  running server{[](auto& s) {
    s.get("/ticks", [](request& req) -> task<void> {
      websocket ws = co_await req.upgrade();
      const task_handle ticker = spawn([](websocket& to) -> task<void> {
        while (co_await sleep_for(1ms) == sleep_result::elapsed) co_await to.send_text("tick");
        co_await to.send_text("ticked");
      }(ws));
      (void)co_await ws.receive();
      ticker.cancel();
      (void)co_await ticker.join(); // it refers to ws
      ws.close(1000, "done");
    });
  }};
  wire_client c{server.address()};
  (void)c.upgrade("/ticks");
  BOOST_TEST(c.text() == "tick");
  BOOST_TEST(c.text() == "tick");
  c.send(opcode::text, "enough");
  std::string last = c.text();
  while (last == "tick") last = c.text();
  BOOST_TEST(last == "ticked");
  BOOST_TEST(c.text() == "<close 1000>");
}

BOOST_AUTO_TEST_CASE(two_websockets_are_received_from_at_once_and_a_receive_that_was_cancelled_loses_nothing) {
  running server{[](auto& s) {
    s.get("/either", [](request& req) -> task<void> {
      websocket ws = co_await req.upgrade();
      const auto next = [&ws]() -> task<std::string> {
        const auto message = co_await ws.receive();
        co_return message ? std::string{message->text()} : "stopped";
      };
      const auto pause = []() -> task<void> { co_await sleep_for(20ms); };
      const auto first = co_await when_any(next(), pause());
      co_await ws.send_text(first.index() == 1 ? "nothing came" : "?");
      const auto late = co_await with_timeout(10s, next());
      co_await ws.send_text(late ? *late : "?");
    });
  }};
  wire_client c{server.address()};
  (void)c.upgrade("/either");
  BOOST_TEST(c.text() == "nothing came");
  c.send(opcode::text, "late");
  BOOST_TEST(c.text() == "late");
}

BOOST_AUTO_TEST_SUITE_END()
