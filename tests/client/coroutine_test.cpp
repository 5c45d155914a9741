// The coroutine face, on a loop of its own.
#include "allocation_count.hpp"
#include "raw_server.hpp"

#include <ringcast/coroutine_client.hpp>
#include <ringcast/server.hpp>
#include <ringcast/sleep.hpp>

#include <boost/test/unit_test.hpp>
#include <cstring>
#include <fmt/format.h>
#include <thread>

using namespace ringcast;
using namespace ringcast::engine;
using namespace std::chrono_literals;

namespace {

struct with_echo {
  with_echo() : own({.listen = {"127.0.0.1:0"}, .shards = 1}) {
    own.routes().add("/echo", websocket_endpoint{.on_message = [](websocket_ref ws, const message_view& m) { ws.send(m); }});
    const auto started = own.start();
    BOOST_REQUIRE(started);
    url = fmt::format("ws://{}/echo", own.addresses().front());
  }
  server own;
  std::string url;
  client_loop loop;
};

} // namespace

BOOST_FIXTURE_TEST_SUITE(coroutine, with_echo)

BOOST_AUTO_TEST_CASE(connects_sends_receives_and_closes) {
  loop.run([&]() -> task<void> {
    coroutine_client c{url};
    BOOST_TEST((co_await c.connect()).has_value());
    for (int i = 0; i < 100; ++i) {
      BOOST_TEST((co_await c.send_text(fmt::format("message {}", i)) == send_status::queued));
      const auto answer = co_await c.receive();
      BOOST_REQUIRE(answer.has_value());
      BOOST_TEST(answer->text() == fmt::format("message {}", i));
    }
    co_await c.close(1000, "bye");
    BOOST_TEST((c.state() == client_state::closed));
    const auto end = co_await c.receive();
    BOOST_REQUIRE(!end.has_value());
    BOOST_TEST(end.error().code == 1000);
  });
}

BOOST_AUTO_TEST_CASE(a_message_larger_than_the_memory_comes_in_parts) {
  loop.run([&]() -> task<void> {
    coroutine_client c{url};
    (void)co_await c.connect();
    (void)co_await c.send_text("0123456789");
    std::byte memory[4];
    std::string text;
    for (bool more = true; more;) {
      const auto part = co_await c.receive_into(memory);
      BOOST_REQUIRE(part.has_value());
      text.append(reinterpret_cast<const char*>(memory), part->bytes);
      more = !part->end_of_message;
    }
    BOOST_TEST(text == "0123456789");
  });
}

// What is not asked for any more must not be looked at either: the memory it stood in takes what arrives next.
BOOST_AUTO_TEST_CASE(the_rest_of_a_message_is_given_up_when_the_next_one_is_received) {
  loop.run([&]() -> task<void> {
    coroutine_client c{url};
    (void)co_await c.connect();
    (void)co_await c.send_text("0123456789");
    (void)co_await c.send_text("second");
    std::byte memory[4];
    const auto part = co_await c.receive_into(memory);
    BOOST_REQUIRE(part.has_value());
    BOOST_TEST(!part->end_of_message);
    const auto second = co_await c.receive();
    BOOST_REQUIRE(second.has_value());
    BOOST_TEST(second->text() == "second");
    (void)co_await c.send_text(std::string(100'000, 'x'));
    (void)co_await c.send_text("no");
    (void)co_await c.receive();
    const auto last = co_await c.receive_into(memory);
    BOOST_REQUIRE(last.has_value());
    BOOST_TEST(last->bytes == 2u);
    BOOST_TEST(last->end_of_message);
  });
}

BOOST_AUTO_TEST_CASE(receive_frame_shows_pings_and_pongs_and_receive_passes_over_them) {
  raw_server peers{[](raw_connection& peer, int) {
    peer.accept_upgrade(peer.read_head());
    unsigned op = 0;
    // Answered by itself, seen or not.
    peer.write(frame_of(0x89, "unseen"));
    (void)peer.read_frame(op);
    peer.write(frame_of(0x81, "first") + frame_of(0x89, "seen") + frame_of(0x81, "second"));
    (void)peer.read_frame(op);
    const std::string ping = peer.read_frame(op);
    if (op == 9) peer.write(frame_of(0x8A, ping) + frame_of(0x89, "passed over") + frame_of(0x81, "third"));
    peer.wait_for_end();
  }};
  loop.run([&]() -> task<void> {
    coroutine_client c{peers.url()};
    (void)co_await c.connect();
    BOOST_TEST((co_await c.receive()).value().text() == "first");
    const auto frame = [&](opcode op, std::string_view text) -> task<void> {
      const auto got = co_await c.receive_frame({.deadline = 5s});
      BOOST_REQUIRE(got.has_value());
      BOOST_TEST((got->op == op));
      BOOST_TEST(got->text() == text);
    };
    // The first call asks for them, so the ping in front of the second message may have been passed over.
    const auto next = co_await c.receive_frame({.deadline = 5s});
    BOOST_REQUIRE(next.has_value());
    if (next->op == opcode::ping) co_await frame(opcode::text, "second");
    BOOST_TEST((c.ping("how long") == send_status::queued));
    co_await frame(opcode::pong, "how long");
    const auto third = co_await c.receive({.deadline = 5s});
    BOOST_REQUIRE(third.has_value());
    BOOST_TEST(third->text() == "third");
  });
}

BOOST_AUTO_TEST_CASE(a_sender_works_on_another_thread_and_outlives_its_client) {
  client_sender elsewhere;
  std::thread other;
  loop.run([&]() -> task<void> {
    coroutine_client c{url};
    (void)co_await c.connect();
    elsewhere = c.sender();
    other = std::thread([elsewhere] {
      for (int i = 0; i < 100; ++i) (void)elsewhere.send_text(fmt::format("{}", i));
    });
    for (int i = 0; i < 100; ++i) {
      const auto message = co_await c.receive({.deadline = 5s});
      BOOST_REQUIRE(message.has_value());
      BOOST_TEST(message->text() == fmt::format("{}", i));
    }
    BOOST_TEST((c.try_send_text("x") == send_status::queued));
    BOOST_TEST(c.is_open());
  });
  other.join();
  BOOST_TEST((elsewhere.send_text("too late") == send_status::closed));
  BOOST_TEST((elsewhere.state() == client_state::closed));
  BOOST_TEST((client_sender{}.send_text("of nobody") == send_status::closed));
}

BOOST_AUTO_TEST_CASE(a_deadline_ends_one_receive_and_not_the_connection) {
  loop.run([&]() -> task<void> {
    coroutine_client c{url};
    (void)co_await c.connect();
    const auto nothing = co_await c.receive({.deadline = 20ms});
    BOOST_REQUIRE(!nothing.has_value());
    BOOST_TEST((nothing.error().why == client_end::kind::timed_out));
    (void)co_await c.send_text("still here");
    const auto message = co_await c.receive();
    BOOST_REQUIRE(message.has_value());
    BOOST_TEST(message->text() == "still here");
  });
}

BOOST_AUTO_TEST_CASE(a_deadline_and_a_stop_token_give_up_connecting) {
  raw_server silent{[](raw_connection& peer, int) { peer.wait_for_end(); }};
  loop.run([&]() -> task<void> {
    coroutine_client c{silent.url()};
    const auto late = co_await c.connect({.deadline = 20ms});
    BOOST_REQUIRE(!late.has_value());
    BOOST_TEST((late.error().why == client_end::kind::timed_out));
    std::stop_source stop;
    stop.request_stop();
    coroutine_client other{silent.url()};
    const auto stopped = co_await other.connect({.stop = stop.get_token()});
    BOOST_REQUIRE(!stopped.has_value());
    BOOST_TEST((stopped.error().why == client_end::kind::stopped));
  });
}

BOOST_AUTO_TEST_CASE(a_refusal_says_its_status) {
  raw_server unwilling{[](raw_connection& peer, int) {
    (void)peer.read_head();
    peer.write("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
  }};
  loop.run([&]() -> task<void> {
    coroutine_client c{unwilling.url()};
    const auto refused = co_await c.connect();
    BOOST_REQUIRE(!refused.has_value());
    BOOST_TEST(refused.error().http_status == 403);
  });
}

BOOST_AUTO_TEST_CASE(sending_waits_for_room_and_reading_holds_the_server) {
  loop.run([&]() -> task<void> {
    coroutine_client c{url, {.queue_bytes_max = 64 * 1024}};
    (void)co_await c.connect();
    const std::string text(10'000, 'x');
    // 2 MB into a queue of 64 KiB, and nobody receives meanwhile: what comes back waits in TCP.
    for (int i = 0; i < 200; ++i) BOOST_REQUIRE((co_await c.send_text(text, {.deadline = 5s}) != send_status::closed));
    std::size_t received = 0;
    while (received < c.counts().sent) {
      const auto message = co_await c.receive({.deadline = 5s});
      BOOST_REQUIRE(message.has_value());
      BOOST_REQUIRE(message->payload.size() == text.size());
      ++received;
    }
    BOOST_TEST(received > 0u);
  });
}

BOOST_AUTO_TEST_CASE(nothing_is_allocated_for_a_message_once_warm) {
  std::size_t allocated = 1;
  loop.run([&]() -> task<void> {
    coroutine_client c{url};
    (void)co_await c.connect();
    for (int i = 0; i < 4000; ++i) {
      if (i == 2000) allocated = allocation_count();
      (void)co_await c.send_text("hello, this is a message of forty bytes.");
      (void)co_await c.receive();
    }
    allocated = allocation_count() - allocated;
  });
  BOOST_TEST(allocated == 0u);
}

BOOST_AUTO_TEST_CASE(no_way_to_receive_allocates_once_warm) {
  // In one coroutine, since a task for each call would be an allocation of the test's own.
  enum class way { receive, receive_frame, receive_into, in_parts };
  for (const way how : {way::receive, way::receive_frame, way::receive_into, way::in_parts})
    for (const bool with_deadline : {false, true}) {
      std::size_t allocated = 1, received = 0;
      loop.run([&]() -> task<void> {
        coroutine_client c{url};
        (void)co_await c.connect();
        std::byte memory[64];
        const std::span<std::byte> into = std::span{memory}.first(how == way::in_parts ? 16 : 64);
        const auto limits = [&] { return with_deadline ? wait_limits{.deadline = 5s} : wait_limits{}; };
        for (int i = 0; i < 2000; ++i) {
          if (i == 1000) allocated = allocation_count();
          (void)co_await c.send_text("hello, this is a message of forty bytes.");
          switch (how) {
          case way::receive: received += (co_await c.receive(limits())).value().payload.size(); break;
          case way::receive_frame: received += (co_await c.receive_frame(limits())).value().payload.size(); break;
          case way::receive_into:
          case way::in_parts:
            for (bool more = true; more;) {
              const auto part = co_await c.receive_into(into, limits());
              received += part.value().bytes;
              more = !part->end_of_message;
            }
          }
        }
        allocated = allocation_count() - allocated;
      });
      BOOST_TEST(allocated == 0u, "way " << static_cast<int>(how) << (with_deadline ? " with a deadline" : ""));
      BOOST_TEST(received == 2000u * 40);
    }
}

BOOST_AUTO_TEST_CASE(a_loop_that_ends_ends_its_coroutines) {
  bool ended = false;
  {
    client_loop other;
    other.spawn([&]() -> task<void> {
      coroutine_client c{url};
      (void)co_await c.connect();
      (void)co_await c.receive();
      ended = true;
    });
    std::this_thread::sleep_for(50ms);
  }
  BOOST_TEST(ended);
}

BOOST_AUTO_TEST_SUITE_END()
