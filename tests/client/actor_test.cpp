// The actor face against our own server: any thread, in order, bounded, and quiet after stop().
#include "allocation_count.hpp"
#include "recorder.hpp"

#include <ringcast/client_loop.hpp>
#include <ringcast/server.hpp>

#include <boost/test/unit_test.hpp>
#include <fmt/format.h>
#include <thread>

using namespace ringcast;
using namespace std::chrono_literals;

namespace {

struct echo_server {
  explicit echo_server(std::string listen = "127.0.0.1:0") : own({.listen = {std::move(listen)}, .shards = 1}) {
    own.routes().add("/echo",
                     websocket_endpoint{.on_message = [](websocket_ref ws, const message_view& m) { ws.send(m); }, .subprotocols = {"one", "two"}});
    own.routes().add("/close/{code}", websocket_endpoint{.on_message = [](websocket_ref ws, const message_view& m) {
                       ws.close(static_cast<std::uint16_t>(std::stoi(std::string{m.text()})), "as you wish");
                     }});
    const auto started = own.start();
    BOOST_REQUIRE(started);
  }
  std::string url(std::string_view path) const { return fmt::format("ws://{}{}", own.addresses().front(), path); }
  server own;
};

struct with_echo {
  echo_server server;
  recorder seen;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(actor, with_echo)

BOOST_AUTO_TEST_CASE(connects_echoes_and_closes) {
  client c{server.url("/echo")};
  seen.listen_to(c);
  BOOST_TEST((c.state() == client_state::closed));
  BOOST_TEST((c.send_text("nobody is there") == send_status::closed));
  c.start();
  BOOST_TEST((c.state() == client_state::connecting || c.state() == client_state::open));
  BOOST_TEST((c.send_text("one") == send_status::queued)); // before the connection is open
  BOOST_REQUIRE(seen.wait_for("message one"));
  BOOST_TEST((c.state() == client_state::open));
  BOOST_TEST((c.send_text("two") == send_status::queued));
  BOOST_REQUIRE(seen.wait_for("message two"));
  BOOST_TEST((c.disconnect(1000, "bye") == send_status::queued));
  BOOST_TEST((c.state() == client_state::closing || c.state() == client_state::closed));
  BOOST_REQUIRE(seen.wait_for("close"));
  BOOST_TEST((c.state() == client_state::closed));
  BOOST_TEST((c.send_text("too late") == send_status::closed));
  BOOST_TEST(seen.story() == "open | message one | message two | disconnected 1000 | close 1000");
  BOOST_TEST(seen.count("close 1000 clean") == 1u);
  BOOST_TEST(c.counts().sent == 2u);
  BOOST_TEST(c.counts().received == 2u);
  BOOST_TEST(c.counts().queued_bytes == 0u);
}

BOOST_AUTO_TEST_CASE(connects_again_after_a_close) {
  client c{server.url("/echo")};
  seen.listen_to(c);
  c.start();
  BOOST_REQUIRE(seen.wait_for("open"));
  c.disconnect();
  c.connect(); // while closing: it takes effect behind the close
  BOOST_REQUIRE(seen.wait_for("open", 2));
  c.disconnect();
  BOOST_REQUIRE(seen.wait_for("close", 2));
  c.connect();
  BOOST_REQUIRE(seen.wait_for("open", 3));
  BOOST_TEST(seen.count("reconnected") == 0u);
}

BOOST_AUTO_TEST_CASE(many_threads_send_and_each_keeps_its_order) {
  client c{server.url("/echo"), {.queue_bytes_max = 16u << 20}};
  seen.listen_to(c);
  c.start();
  constexpr int threads = 4, each = 500;
  std::vector<std::thread> senders;
  for (int t = 0; t < threads; ++t)
    senders.emplace_back([&c, t] {
      for (int i = 0; i < each; ++i) {
        while (c.send_text(fmt::format("{} {}", t, i)) != send_status::queued) std::this_thread::yield();
      }
    });
  for (auto& sender : senders) sender.join();
  BOOST_REQUIRE(seen.wait_for("message", threads * each));
  std::vector<int> next(threads, 0);
  for (const std::string& line : seen.lines()) {
    int t = 0, i = 0;
    if (std::sscanf(line.c_str(), "message %d %d", &t, &i) != 2) continue;
    BOOST_TEST(i == next[static_cast<std::size_t>(t)]++);
  }
  BOOST_TEST(seen.count("disconnected") == 0u);
}

BOOST_AUTO_TEST_CASE(large_messages_come_back_whole) {
  client c{server.url("/echo"), {.message_bytes_max = 4u << 20, .queue_bytes_max = 4u << 20}};
  std::string got;
  c.on_message([&](const message_view& m) {
    got = m.text();
    seen.add("got");
  });
  c.start();
  for (const std::size_t bytes : {std::size_t{125}, std::size_t{126}, std::size_t{65535}, std::size_t{65536}, std::size_t{1000000}}) {
    std::string text(bytes, 'x');
    for (std::size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>('a' + i % 26);
    const std::size_t before = seen.count("got");
    BOOST_REQUIRE((c.send_text(text) == send_status::queued));
    BOOST_REQUIRE(seen.wait_for("got", before + 1));
    BOOST_TEST((got == text));
  }
}

BOOST_AUTO_TEST_CASE(a_full_queue_says_so_and_loses_nothing) {
  client c{fmt::format("ws://127.0.0.1:{}/echo", server.own.addresses().front().substr(10)), {.queue_bytes_max = 4000}};
  seen.listen_to(c);
  BOOST_TEST((c.send_text("x") == send_status::closed));
  c.start();
  const std::string text(100, 'x');
  int queued = 0, full = 0;
  for (int i = 0; i < 10'000; ++i) {
    const send_status result = c.send_text(text);
    if (result == send_status::queued) ++queued;
    if (result == send_status::full) ++full;
  }
  BOOST_TEST(queued + full == 10'000);
  BOOST_TEST(full > 0);
  BOOST_TEST((c.send_text(std::string(5000, 'y')) == send_status::full)); // it will never fit
  BOOST_REQUIRE(seen.wait_for("message", static_cast<std::size_t>(queued)));
  BOOST_TEST(c.counts().sent == static_cast<std::uint64_t>(queued));
}

BOOST_AUTO_TEST_CASE(subprotocols_are_negotiated) {
  client c{server.url("/echo"), {.subprotocols = {"three", "two"}}};
  seen.listen_to(c);
  c.start();
  BOOST_REQUIRE(seen.wait_for("open"));
  BOOST_TEST(c.subprotocol() == "two");
}

BOOST_AUTO_TEST_CASE(a_callback_may_send_disconnect_and_stop) {
  client c{server.url("/echo")};
  c.on_open([&] { c.send_text("from on_open"); });
  c.on_message([&](const message_view& m) {
    seen.add(fmt::format("message {}", m.text()));
    c.stop();
    seen.add("stopped inside");
  });
  c.on_close([&](std::uint16_t, std::string_view, bool) { seen.add("close"); });
  c.start();
  BOOST_REQUIRE(seen.wait_for("stopped inside"));
  std::this_thread::sleep_for(50ms);
  BOOST_TEST(seen.story() == "message from on_open | stopped inside");
  BOOST_TEST((c.state() == client_state::closed));
}

BOOST_AUTO_TEST_CASE(no_event_begins_after_stop) {
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> events{0};
    auto c = std::make_unique<client>(server.url("/echo"));
    c->on_open([&] { ++events; });
    c->on_message([&](const message_view& m) {
      ++events;
      c->send_text(m.text());
    });
    c->start();
    for (int i = 0; i < 10; ++i) c->send_text("x");
    std::this_thread::sleep_for(std::chrono::microseconds(100 * round));
    c->stop();
    const int at_stop = events;
    std::this_thread::sleep_for(1ms);
    BOOST_TEST(events == at_stop);
  }
}

BOOST_AUTO_TEST_CASE(a_callback_that_throws_loses_its_connection) {
  client c{server.url("/echo"), {.reconnect = {.enabled = false}}};
  seen.listen_to(c);
  c.on_message([](const message_view&) { throw std::runtime_error("the user's own"); });
  c.start();
  c.send_text("x");
  BOOST_REQUIRE(seen.wait_for("close"));
  BOOST_TEST(seen.story() == "open | error handler | disconnected 1011 | close 1011");
  BOOST_TEST(seen.lines().at(1) == "error handler a callback threw: the user's own");
}

BOOST_AUTO_TEST_CASE(a_callback_that_throws_is_a_loss_and_the_client_comes_back) {
  client c{server.url("/echo"), {.reconnect = {.initial_delay = 1ms, .max_delay = 1ms}}};
  seen.listen_to(c);
  c.on_open([] { throw 7; });
  // An on_error that throws itself ends nothing.
  c.on_error([&](const client_error& error) {
    seen.add(fmt::format("error {} fatal {}", error.text, error.is_fatal));
    throw std::runtime_error("of on_error");
  });
  c.start();
  BOOST_REQUIRE(seen.wait_for("reconnected"));
  BOOST_TEST(seen.lines().front() == "error a callback threw something that is not a std::exception fatal false");
  BOOST_TEST(seen.story() == "error a | disconnected 1011 | reconnecting 1 | reconnected");
}

BOOST_AUTO_TEST_CASE(a_ping_is_answered_and_the_pong_is_seen) {
  client c{server.url("/echo"), {}};
  c.on_open([&] { seen.add(c.ping(std::string(200, 'z')) == send_status::queued ? "queued" : "not queued"); });
  c.on_control([&](opcode op, std::span<const std::byte> payload) { seen.add(fmt::format("{} {}", static_cast<int>(op), payload.size())); });
  BOOST_TEST((c.ping() == send_status::closed));
  c.start();
  BOOST_TEST(seen.wait_for("10 125"));
  BOOST_TEST(seen.lines().front() == "queued");
  BOOST_TEST(c.counts().sent == 0u);
}

BOOST_AUTO_TEST_CASE(a_loop_of_its_own_ends_its_clients) {
  std::optional<client_loop> loop{std::in_place};
  client c{server.url("/echo"), {}, *loop};
  seen.listen_to(c);
  c.start();
  BOOST_REQUIRE(seen.wait_for("open"));
  loop.reset();
  BOOST_TEST(seen.count("close") == 1u);
  BOOST_TEST((c.state() == client_state::closed));
  BOOST_TEST((c.send_text("x") == send_status::closed));
  c.connect();
  BOOST_TEST((c.state() == client_state::closed));
}

BOOST_AUTO_TEST_CASE(nothing_is_allocated_for_a_message_once_warm) {
  client_loop loop; // on the shared one the connections of other cases are still coming to their ends
  client c{server.url("/echo"), {}, loop};
  std::atomic<int> left{0};
  std::atomic<bool> done{false};
  c.on_message([&](const message_view& m) {
    if (--left > 0)
      c.send(m.op, m.payload);
    else
      done = true, done.notify_one();
  });
  c.start();
  const auto run = [&](int messages) {
    left = messages;
    done = false;
    c.send_text("hello, this is a message of forty bytes.");
    done.wait(false);
  };
  run(2000);
  const std::size_t before = allocation_count();
  run(2000);
  BOOST_TEST(allocation_count() - before == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
