// The operations of a websocket: each way to receive and send, limits, the bounds of what waits, and its ends.
#include "engine/base/limits.hpp"
#include "tests/library/running.hpp"
#include "tests/library/wire_client.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <deque>
#include <thread>
#include <vector>

using namespace ringcast;
using namespace ringcast::engine;
using namespace std::chrono_literals;

namespace {

using handler = task<void> (*)(request&);

wire_client connected(const running& server) { return wire_client{server.address()}; }

} // namespace

BOOST_AUTO_TEST_SUITE(websockets)

BOOST_AUTO_TEST_CASE(receive_into_continues_a_message_that_is_larger_than_the_span) {
  running server{[](auto& s) {
    s.get("/", [](request& req) -> task<void> {
      websocket ws = co_await req.upgrade();
      std::array<std::byte, 4> bytes;
      std::string told;
      while (auto part = co_await ws.receive_into(bytes)) {
        told.append(reinterpret_cast<const char*>(bytes.data()), part->bytes).append(part->end_of_message ? "." : ",");
        if (part->end_of_message) co_await ws.send_text(std::exchange(told, {}));
      }
    });
  }};
  wire_client c = connected(server);
  (void)c.upgrade("/");
  for (const auto& [sent, told] : {std::pair{"", "."}, {"abcd", "abcd."}, {"abcde", "abcd,e."}, {"abcdefghi", "abcd,efgh,i."}}) {
    c.send(opcode::text, sent);
    BOOST_TEST(c.text() == told);
  }
}

BOOST_AUTO_TEST_CASE(receive_frame_shows_control_frames) {
  running server{[](auto& s) {
    s.get("/", [](request& req) -> task<void> {
      websocket ws = co_await req.upgrade({.answer_pings = false});
      while (auto frame = co_await ws.receive_frame()) {
        if (frame->op == opcode::ping) co_await ws.pong("own " + std::string{frame->text()});
        if (frame->op == opcode::pong) co_await ws.send_text("pong " + std::string{frame->text()});
        if (frame->op == opcode::text) co_await ws.send_text(frame->text());
      }
    });
  }};
  wire_client c = connected(server);
  (void)c.upgrade("/");
  c.send(opcode::text, "first");
  BOOST_TEST(c.text() == "first");
  c.send(opcode::ping, "p");
  const auto pong = c.receive();
  BOOST_REQUIRE(pong.has_value());
  BOOST_TEST((pong->op == opcode::pong && pong->payload == "own p"));
  c.send(opcode::pong, "q");
  BOOST_TEST(c.text() == "pong q");
}

BOOST_AUTO_TEST_CASE(a_receive_that_times_out_or_is_stopped_loses_nothing) {
  running server{[](auto& s) {
    s.get("/", [](request& req) -> task<void> {
      websocket ws = co_await req.upgrade();
      const auto late = co_await ws.receive({.deadline = 20ms});
      if (late || late.error().why != websocket_end::timed_out) co_return;
      std::stop_source stop;
      std::jthread stopper([&stop] {
        std::this_thread::sleep_for(20ms);
        stop.request_stop();
      });
      const auto stopped = co_await ws.receive({.stop = stop.get_token()});
      if (stopped || stopped.error().why != websocket_end::stopped) co_return;
      co_await ws.send_text("now");
      while (auto message = co_await ws.receive()) co_await ws.send(*message);
    });
  }};
  wire_client c = connected(server);
  (void)c.upgrade("/");
  BOOST_TEST(c.text() == "now");
  c.send(opcode::text, "all there");
  BOOST_TEST(c.text() == "all there");
}

// The view is read long after the turn in which it was received, while later messages come in.
BOOST_AUTO_TEST_CASE(a_message_stays_valid_until_the_next_receive) {
  running server{[](auto& s) {
    s.get("/", [](request& req) -> task<void> {
      websocket ws = co_await req.upgrade();
      while (auto message = co_await ws.receive()) {
        (void)co_await sleep_for(2ms);
        co_await ws.send(*message);
      }
    });
  }};
  wire_client c = connected(server);
  (void)c.upgrade("/");
  std::vector<std::string> sent;
  std::string all;
  for (int i = 0; i < 60; ++i) {
    sent.push_back(std::string(static_cast<std::size_t>(i % 7 == 0 ? 40000 : i * 13), static_cast<char>('a' + i % 26)));
    all += masked_frame(opcode::text, sent.back());
  }
  std::thread sending([&] { c.send_bytes(all); });
  for (const std::string& each : sent) BOOST_TEST((c.text() == each));
  sending.join();
}

// Large ones are not copied: the memory that they were received in stays with the handler, more connections at once than buffers are lent.
BOOST_AUTO_TEST_CASE(large_messages_of_many_connections_stay_valid_meanwhile) {
  running server{[](auto& s) {
    s.get("/", [](request& req) -> task<void> {
      websocket ws = co_await req.upgrade();
      for (int held = 0; auto message = co_await ws.receive(); ++held) {
        if (held % 3 != 2) (void)co_await sleep_for(3ms);
        co_await ws.send(*message);
      }
    });
  }};
  constexpr std::array<std::size_t, 6> sizes{9'000, 65'536, 20, 131'000, 262'144, 700'000};
  std::deque<wire_client> clients;
  for (int i = 0; i < 24; ++i) {
    clients.emplace_back(server.address());
    (void)clients.back().upgrade("/");
  }
  const auto payload = [&](std::size_t client, std::size_t i) {
    return std::string(sizes[(i + client) % sizes.size()], static_cast<char>('a' + (client * 7 + i) % 26));
  };
  std::thread sending([&] {
    for (std::size_t i = 0; i < 6; ++i)
      for (std::size_t k = 0; k < 12; ++k) clients[k].send_bytes(masked_frame(opcode::text, payload(k, i)));
  });
  std::thread also_sending([&] {
    for (std::size_t k = 12; k < 24; ++k)
      for (std::size_t i = 0; i < 6; ++i) clients[k].send_bytes(masked_frame(opcode::text, payload(k, i)));
  });
  std::vector<std::thread> readers;
  std::atomic<int> wrong{0};
  for (std::size_t k = 0; k < 24; ++k)
    readers.emplace_back([&, k] {
      for (std::size_t i = 0; i < 6; ++i)
        if (clients[k].text(20'000) != payload(k, i)) ++wrong;
    });
  for (std::thread* each : {&sending, &also_sending}) each->join();
  for (std::thread& each : readers) each.join();
  BOOST_TEST(wrong == 0);
}

BOOST_AUTO_TEST_CASE(a_handler_that_does_not_read_lets_tcp_push_back_and_then_gets_everything) {
  static std::atomic<bool> go;
  static std::atomic<std::size_t> received;
  go = false;
  received = 0;
  running server{[](auto& s) {
    s.get("/", [](request& req) -> task<void> {
      websocket ws = co_await req.upgrade();
      while (!go) (void)co_await sleep_for(5ms);
      while (auto message = co_await ws.receive()) received += message->payload.size();
    });
  }};
  wire_client c = connected(server);
  (void)c.upgrade("/");
  const std::string frame = masked_frame(opcode::binary, std::string(1000, 'x'));
  std::string some;
  for (int i = 0; i < 64; ++i) some += frame;
  constexpr std::size_t most = 64u << 20;
  const std::size_t sent = c.send_until_full(some, most);
  BOOST_TEST(sent < most);
  go = true;
  const std::size_t rest = sent % frame.size(); // the last frame may have been cut; it is completed
  if (rest != 0) c.send_bytes(std::string_view{frame}.substr(rest));
  const std::size_t frames = sent / frame.size() + (rest != 0);
  for (int i = 0; i < 500 && received != frames * 1000; ++i) std::this_thread::sleep_for(10ms);
  BOOST_TEST(received == frames * 1000);
  c.close(1000);
  BOOST_TEST(c.text() == "<close 1000>");
}

BOOST_AUTO_TEST_CASE(messages_and_close_that_wait_while_the_peer_goes_are_all_seen) {
  static std::atomic<int> seen;
  static std::atomic<int> code;
  seen = 0, code = 0;
  running server{[](auto& s) {
    s.get("/", [](request& req) -> task<void> {
      websocket ws = co_await req.upgrade();
      (void)co_await sleep_for(100ms);
      while (auto message = co_await ws.receive()) ++seen;
      code = (co_await ws.receive()).error().code;
    });
  }};
  {
    wire_client c = connected(server);
    (void)c.upgrade("/");
    for (int i = 0; i < 100; ++i) c.send(opcode::text, "x");
    c.close(4001, "bye");
    c.shut_down_writing();
    (void)c.ended(1000);
  }
  for (int i = 0; i < 200 && code == 0; ++i) std::this_thread::sleep_for(10ms);
  BOOST_TEST(seen == 100);
  BOOST_TEST(code == 4001);
}

BOOST_AUTO_TEST_CASE(send_suspends_above_the_high_watermark_and_try_send_drops) {
  static std::atomic<int> sent, dropped, timed_out;
  sent = 0, dropped = 0, timed_out = 0;
  running server{[](auto& s) {
    s.get("/", [](request& req) -> task<void> {
      websocket ws = co_await req.upgrade();
      const std::string large(64 * 1024, 'x');
      // Nobody reads: sooner or later a send has to wait.
      while (true) {
        const send_status status = co_await ws.send_text(large, {.deadline = 200ms});
        if (status == send_status::timed_out) break;
        ++sent;
      }
      timed_out = ws.buffered_bytes() > high_watermark_bytes ? 1 : 0;
      if (ws.try_send_text("x") == send_status::dropped) ++dropped;
      // The peer reads again: this waits for room and is sent.
      co_await ws.send_text("the end");
      (void)co_await ws.receive();
    });
  }};
  wire_client c = connected(server);
  (void)c.upgrade("/");
  for (int i = 0; i < 1000 && dropped == 0; ++i) std::this_thread::sleep_for(10ms);
  BOOST_TEST(timed_out == 1);
  BOOST_TEST(dropped == 1);
  int received = 0;
  std::string text;
  while ((text = c.text()).size() == 64 * 1024) ++received;
  BOOST_TEST(text == "the end");
  BOOST_TEST(received == sent);
}

BOOST_AUTO_TEST_CASE(a_websocket_that_was_moved_from_or_closed_answers_with_an_error) {
  running server{[](auto& s) {
    s.get("/", [](request& req) -> task<void> {
      websocket first = co_await req.upgrade();
      websocket ws = std::move(first);
      std::string told;
      told += first.is_open() ? "open" : "closed";
      told += (co_await first.receive()) ? " message" : " end";
      told += (co_await first.send_text("x")) == send_status::closed ? " closed" : " sent";
      co_await first.close();
      co_await ws.send_text(told);
      co_await ws.close(4000, "enough");
      told = ws.is_open() ? "open" : "closed";
      if (ws.try_send_text("x") != send_status::closed || co_await ws.receive() || ws.buffered_bytes() != 0) throw std::logic_error("it lives");
    });
  }};
  wire_client c = connected(server);
  (void)c.upgrade("/");
  BOOST_TEST(c.text() == "closed end closed");
  const auto close = c.receive();
  BOOST_REQUIRE(close.has_value());
  BOOST_TEST(close->code() == 4000);
  BOOST_TEST(close->reason() == "enough");
}

// On the connection's own shard, and on the other one.
BOOST_AUTO_TEST_CASE(a_sender_waits_on_another_shard_until_its_peer_has_taken_most) {
  static std::atomic<int> late, sent, ended;
  for (const bool elsewhere : {false, true}) {
    late = sent = ended = 0;
    running server{[elsewhere](auto& s) {
                     const auto send_much = [](sender to) -> task<void> {
                       if (co_await to.drained() != send_status::queued) co_return; // nothing waits yet
                       const std::string large(64 * 1024, 'x');
                       while (true) {
                         to.send_text(large);
                         ++sent;
                         if (co_await to.drained({.deadline = 100ms}) == send_status::timed_out) break;
                       }
                       ++late;
                       if (co_await to.drained() == send_status::queued) to.send_text("the end");
                       while (co_await to.drained() == send_status::queued) co_await sleep_for(1ms);
                       ended = co_await to.drained() == send_status::closed ? 1 : 2;
                     };
                     s.get("/", [&s, elsewhere, send_much](request& req) -> task<void> {
                       auto [to, from] = (co_await req.upgrade()).split();
                       if (elsewhere)
                         s.post(1 - s.this_shard().value(), [to, send_much] { spawn(send_much(to)); });
                       else
                         spawn(send_much(to));
                       (void)co_await from.receive();
                     });
                   },
                   {.shards = 2}};
    wire_client c = connected(server);
    (void)c.upgrade("/");
    for (int i = 0; i < 1000 && late == 0; ++i) std::this_thread::sleep_for(10ms);
    BOOST_TEST(late == 1);
    int received = 0;
    std::string text;
    while ((text = c.text()).size() == 64 * 1024) ++received;
    BOOST_TEST(text == "the end");
    BOOST_TEST(received == sent);
    c.close(1000);
    BOOST_TEST(c.text() == "<close 1000>");
    for (int i = 0; i < 500 && ended == 0; ++i) std::this_thread::sleep_for(10ms);
    BOOST_TEST(ended == 1);
  }
}

BOOST_AUTO_TEST_CASE(a_split_sender_works_on_another_thread_and_outlives_its_connection) {
  static std::atomic<int> closed;
  closed = 0;
  running server{[](auto& s) {
    s.get("/", [](request& req) -> task<void> {
      auto [to, from] = (co_await req.upgrade()).split();
      std::thread([to] {
        const std::string large(3u << 20, 'y');
        for (int i = 0; i < 100; ++i) to.send_text(std::to_string(i));
        to.send_text(large);
        while (to.is_open()) std::this_thread::sleep_for(1ms);
        closed = to.send_text("x").value == send_status::closed ? 1 : 2;
      }).detach();
      while (auto message = co_await from.receive()) {
      }
    });
  }};
  wire_client c = connected(server);
  (void)c.upgrade("/");
  for (int i = 0; i < 100; ++i) BOOST_REQUIRE(c.text() == std::to_string(i));
  BOOST_TEST(c.text().size() == 3u << 20);
  c.close(1000);
  BOOST_TEST(c.text() == "<close 1000>");
  for (int i = 0; i < 500 && closed == 0; ++i) std::this_thread::sleep_for(10ms);
  BOOST_TEST(closed == 1);
}

BOOST_AUTO_TEST_CASE(a_prepared_frame_goes_to_many) {
  running server{[](auto& s) {
    s.get("/", [](request& req) -> task<void> {
      static const shared_frame greeting = shared_frame::text("hello, all");
      websocket ws = co_await req.upgrade();
      co_await ws.send_prepared(greeting);
      (void)co_await ws.receive();
    });
  }};
  for (int i = 0; i < 3; ++i) {
    wire_client c{server.address()};
    (void)c.upgrade("/");
    BOOST_TEST(c.text() == "hello, all");
  }
}

BOOST_AUTO_TEST_CASE(a_ping_interval_of_the_upgrade_finds_a_dead_peer) {
  running server{[](auto& s) {
    s.get("/", [](request& req) -> task<void> {
      websocket ws = co_await req.upgrade({.ping_interval = 100ms, .pong_timeout = 200ms});
      (void)co_await ws.receive();
    });
  }};
  wire_client c = connected(server);
  (void)c.upgrade("/");
  const auto ping = c.receive(1000);
  BOOST_REQUIRE(ping.has_value());
  BOOST_TEST((ping->op == opcode::ping));
  BOOST_TEST(c.ended(2000)); // it was never answered
}

BOOST_AUTO_TEST_SUITE_END()
