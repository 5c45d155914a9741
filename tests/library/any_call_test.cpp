// Every call of a server and of its rooms, from every callback of the event face and from coroutine handlers, on the shards' own threads: none
// of them blocks, asserts or deadlocks, and the last one stops the server.
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <atomic>
#include <future>
#include <string>
#include <thread>
#include <vector>

using namespace ringcast;
using namespace std::chrono_literals;

namespace {

struct calling_program {
  server* own = nullptr;
  std::atomic<std::uint64_t> calls{0}, refused{0};

  void call_everything() {
    calls.fetch_add(1, std::memory_order_relaxed);
    server& s = *own;
    for (const std::string_view name : {"room-0", "room-1", "room-2", ""}) {
      room r = s.room(name);
      (void)r.name(), (void)r.valid();
      (void)r.broadcast("x"), (void)r.broadcast_binary({}), (void)r.send_to("n1", "to one"), (void)r.leave("n2");
      // Whoever waits for these on a shard's thread waits for itself, so they are let go.
      (void)r.count_future(), (void)r.broadcast_future(opcode::text, {});
    }
    (void)s.addresses(), (void)s.tls_addresses(), (void)s.shard_count(), (void)s.is_ready();
    if (!s.reload_certificates()) refused.fetch_add(1, std::memory_order_relaxed);
    if (!s.start()) refused.fetch_add(1, std::memory_order_relaxed);
  }

  task<void> talks(request& req) {
    call_everything();
    websocket ws = co_await req.upgrade();
    room r = req.server().room("room-1");
    const seat here = co_await r.join("n2", ws);
    call_everything();
    while (co_await ws.receive()) {
      call_everything();
      (void)co_await r.count();
      (void)co_await r.broadcast_reported(opcode::text, {});
    }
    call_everything();
  }

  void add_routes(server& s) {
    own = &s;
    s.get("/talks", [this](request& req) { return talks(req); });
    s.events("/events", {.on_upgrade =
                             [this](upgrade_request_view& u) {
                               call_everything();
                               u.take_seat("room-0", hearing::everyone, u.request().query("name").value_or(""));
                               u.set_user(this);
                             },
                         .on_discard = [this](void*) { call_everything(); },
                         .on_open = [this](websocket_ref) { call_everything(); },
                         .on_message =
                             [this](websocket_ref, const message_view& m) {
                               call_everything();
                               if (m.text() == "stop") own->stop();
                             },
                         .on_drain = [this](websocket_ref) { call_everything(); },
                         .on_control = [this](websocket_ref, opcode, std::span<const std::byte>) { call_everything(); },
                         .on_gap = [this](websocket_ref, std::uint64_t, std::uint64_t) { call_everything(); },
                         .on_leave = [this](websocket_ref) { call_everything(); },
                         .on_close = [this](websocket_ref, std::uint16_t, std::string_view) { call_everything(); }});
    s.routes().add("GET", "/asks", [this](const http_request&, http_responder r) {
      call_everything();
      r.respond_json(http_status::ok, "{}");
    });
  }
};

} // namespace

BOOST_AUTO_TEST_SUITE(any_call)

BOOST_AUTO_TEST_CASE(every_call_of_a_server_and_its_rooms_may_be_made_from_every_callback) {
  calling_program program;
  running server{[&](auto& s) { program.add_routes(s); }, {.shards = 2, .policy = slow_consumer::drop_oldest}};
  std::vector<std::thread> talkers;
  for (int t = 0; t < 4; ++t)
    talkers.emplace_back([&, t] {
      for (int round = 0; round < 15; ++round) {
        wire_client events{server.address()}, taken{server.address()}, coroutine{server.address()}, asker{server.address()};
        const std::string target = "/events?name=n" + std::to_string(t);
        (void)events.upgrade(target);
        (void)taken.upgrade(target); // the name is taken, so this comes to nothing
        (void)coroutine.upgrade("/talks");
        (void)asker.http("GET /asks HTTP/1.1\r\nHost: t\r\n\r\n");
        for (int i = 0; i < 5; ++i) {
          events.send(opcode::text, "x");
          events.send(opcode::ping, "x");
          coroutine.send(opcode::text, "x");
        }
        if (round % 3 == 0) events.reset();
        if (round % 3 == 1) coroutine.close(1000);
        if (round % 4 == 0) coroutine.reset();
      }
    });
  for (std::thread& t : talkers) t.join();
  wire_client last{server.address()};
  (void)last.upgrade("/events?name=last");
  last.send(opcode::text, "stop");
  auto ended = std::async(std::launch::async, [&] { server.s.wait(); });
  BOOST_TEST((ended.wait_for(10s) == std::future_status::ready));
  BOOST_TEST(program.calls > 500u);
  BOOST_TEST(program.refused == 2 * program.calls);
}

BOOST_AUTO_TEST_SUITE_END()
