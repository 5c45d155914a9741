// What had been sent and was not taken by TCP when the connection died: counted by message, against a server that stops reading and then
// resets. The client's thread is held in a callback meanwhile, so that its kernel has taken what the server can read, and no more.
#include "raw_server.hpp"
#include "recorder.hpp"

#include "tests/tls/certificates.hpp"
#include <ringcast/coroutine_client.hpp>

#include <boost/test/unit_test.hpp>
#include <fmt/format.h>
#include <latch>
#include <optional>
#include <poll.h>
#include <sys/socket.h>

using namespace ringcast;
using namespace ringcast::engine;
using namespace std::chrono_literals;
using test::test_certificates;

namespace {

constexpr reconnect_policy never{.enabled = false};
constexpr reconnect_policy at_once{.initial_delay = 1ms, .max_delay = 5ms, .jitter = reconnect_policy::jitter_kind::none};
constexpr unsigned text_frame = 0x81;
constexpr std::size_t payload_bytes = 9'000;

std::shared_ptr<const tls_context> certified() {
  tls_server_options options;
  options.certificates = {{test_certificates().pem("localhost"), test_certificates().key("localhost"), {}}};
  auto loaded = tls_context::load_server(options);
  BOOST_REQUIRE_MESSAGE(loaded, (loaded ? "" : loaded.error()));
  return *loaded;
}

// Whole messages that have come; reads until nothing more does.
std::uint64_t read_all_that_is_there(raw_connection& peer) {
  std::uint64_t whole = 0;
  while (peer.has_more(200ms)) {
    unsigned op = 0;
    if (peer.read_frame_of_what_is_there(op, 200ms).size() != payload_bytes) break;
    ++whole;
  }
  return whole;
}

struct outcome {
  std::uint64_t offered = 0, read = 0;
  std::optional<unsent_messages> told;
  client_counts counts;
};

// One message is read. Then the client is full: its queue refuses. The server then says "hold", which holds the client's thread, reads what is there, and resets.
outcome of_a_server_that_stops_reading(std::shared_ptr<const tls_context> context, client_options options) {
  outcome result;
  recorder seen;
  std::latch held{1}, full{1}, was_reset{1};
  raw_server server{[&](raw_connection& peer, int number) {
    if (context != nullptr && !peer.start_tls(context)) return;
    peer.accept_upgrade(peer.read_head());
    if (number > 0) return peer.wait_for_end();
    unsigned op = 0;
    if (peer.read_frame(op).size() == payload_bytes) result.read = 1;
    peer.write(frame_of(text_frame, "go on"));
    full.wait();
    peer.write(frame_of(text_frame, "hold"));
    held.wait();
    result.read += read_all_that_is_there(peer);
    peer.reset();
    peer.end();
    was_reset.count_down();
  }};
  options.compression.mode = compression_mode::off;
  options.queue_bytes_max = 4 << 20;
  client c{context != nullptr ? server.tls_url() : server.url(), options};
  seen.listen_to(c);
  c.on_message([&](const message_view& message) {
    if (message.text() == "go on") return seen.add("message");
    held.count_down();
    was_reset.wait();
  });
  c.on_disconnected([&](std::uint16_t, std::string_view, const unsent_messages& unsent) {
    result.told = unsent;
    result.counts = c.counts();
    seen.add("disconnected");
  });
  c.start();
  BOOST_REQUIRE(seen.wait_for("open"));
  const std::string message(payload_bytes, 'x');
  if (c.send_text(message) == send_status::queued) ++result.offered;
  BOOST_REQUIRE(seen.wait_for("message"));
  // Until the queue stays full: the server reads nothing, so TCP takes nothing more either.
  for (int refused = 0; refused < 50;) {
    if (c.send_text(message) == send_status::queued) {
      ++result.offered;
      refused = 0;
    } else {
      ++refused;
      std::this_thread::sleep_for(10ms);
    }
  }
  full.count_down();
  BOOST_REQUIRE(seen.wait_for("disconnected"));
  return result;
}

void check_kept(const outcome& got) {
  BOOST_TEST(got.told->kept > 0u);
  BOOST_TEST(got.told->kept_bytes == got.told->kept * payload_bytes);
  BOOST_TEST(got.told->lost > 0u);
  BOOST_TEST(got.told->lost_bytes == got.told->lost * payload_bytes);
  BOOST_TEST(got.counts.lost == got.told->lost);
  BOOST_TEST(got.counts.sent + got.told->lost + got.told->kept == got.offered);
}

} // namespace

BOOST_AUTO_TEST_SUITE(unsent)

BOOST_AUTO_TEST_CASE(what_the_server_read_and_what_is_told_as_lost_or_kept_is_what_was_sent) {
  const outcome got = of_a_server_that_stops_reading(nullptr, {.reconnect = never});
  BOOST_REQUIRE(got.told);
  BOOST_TEST(got.counts.sent == got.read);
  BOOST_TEST(got.read + got.told->lost + got.told->kept == got.offered);
  check_kept(got);
}

BOOST_AUTO_TEST_CASE(in_tls_nothing_that_was_not_taken_is_counted_as_sent) {
  const outcome got = of_a_server_that_stops_reading(certified(), {.tls = {.ca_file = test_certificates().pem("ca")}, .reconnect = never});
  BOOST_REQUIRE(got.told);
  BOOST_TEST(got.counts.sent <= got.read);
  BOOST_TEST(got.counts.sent >= 1u);
  check_kept(got);
}

// The next connection is sent what was kept, and not what was lost.
BOOST_AUTO_TEST_CASE(what_was_kept_goes_out_by_the_next_connection_and_what_was_lost_does_not) {
  recorder seen, got;
  std::latch held{1}, was_reset{1};
  raw_server server{[&](raw_connection& peer, int number) {
    peer.accept_upgrade(peer.read_head());
    if (number == 0) {
      peer.write(frame_of(text_frame, "hold"));
      held.wait();
      peer.reset();
      peer.end();
      return was_reset.count_down();
    }
    unsigned op = 0;
    while (got.count("end") == 0 && op != 8) got.add(peer.read_frame(op));
  }};
  client c{server.url(), {.reconnect = at_once}};
  seen.listen_to(c);
  unsent_messages told;
  c.on_message([&](const message_view&) {
    held.count_down();
    was_reset.wait();
    // Handed to a connection that is gone, of which the client knows only when it has tried.
    c.send_text("a");
    c.send_text("bb");
  });
  c.on_disconnected([&](std::uint16_t, std::string_view, const unsent_messages& unsent) {
    if (seen.count("disconnected") > 0) return; // The second server is done.
    told = unsent;
    c.send_text("end");
    seen.add("disconnected");
  });
  c.start();
  BOOST_REQUIRE(seen.wait_for("disconnected"));
  BOOST_REQUIRE(got.wait_for("end"));
  BOOST_TEST(told.lost + told.kept == 2u);
  BOOST_TEST(told.lost_bytes + told.kept_bytes == 3u);
  BOOST_TEST(got.count("a") + got.count("bb") == told.kept);
  BOOST_TEST(c.counts().sent == told.kept + 1);
  BOOST_TEST(c.counts().lost == told.lost);
}

// RFC 6455 5.5.1: the server may still read what stands in front of our Close frame, and the end is told when it is known whether it did.
BOOST_AUTO_TEST_CASE(what_tcp_takes_behind_the_servers_close_frame_is_not_lost) {
  recorder seen;
  std::latch full{1};
  std::uint64_t read = 0;
  raw_server server{[&](raw_connection& peer, int) {
    peer.accept_upgrade(peer.read_head());
    full.wait();
    peer.write(frame_of(0x88, "\x03\xe8"));
    std::this_thread::sleep_for(300ms); // So that the client has met it while nobody reads.
    for (unsigned op = 0; op != 8;)
      if (peer.read_frame(op).size() == payload_bytes) ++read;
    seen.add("all read");
  }};
  client c{server.url(), {.compression = {.mode = compression_mode::off}, .reconnect = never}};
  seen.listen_to(c);
  unsent_messages told;
  c.on_disconnected([&](std::uint16_t, std::string_view, const unsent_messages& unsent) {
    told = unsent;
    seen.add("disconnected");
  });
  c.start();
  BOOST_REQUIRE(seen.wait_for("open"));
  const std::string message(payload_bytes, 'x');
  std::uint64_t offered = 0;
  for (int refused = 0; refused < 50;) {
    if (c.send_text(message) == send_status::queued) {
      ++offered;
      refused = 0;
    } else {
      ++refused;
      std::this_thread::sleep_for(10ms);
    }
  }
  full.count_down();
  BOOST_REQUIRE(seen.wait_for("close"));
  BOOST_REQUIRE(seen.wait_for("all read"));
  BOOST_TEST(told.lost == 0u);
  BOOST_TEST(c.counts().sent == read);
  BOOST_TEST(read + told.kept == offered);
}

BOOST_AUTO_TEST_CASE(a_coroutine_asks_what_was_lost) {
  std::latch full{1};
  raw_server server{[&](raw_connection& peer, int) {
    peer.accept_upgrade(peer.read_head());
    full.wait();
    peer.reset();
  }};
  std::uint64_t offered = 0;
  unsent_messages unsent;
  client_counts counts;
  client_loop loop;
  loop.run([&]() -> task<void> {
    coroutine_client c{server.url(), {.compression = {.mode = compression_mode::off}, .reconnect = never}};
    if (!co_await c.connect({.deadline = 5s})) co_return;
    const std::string message(payload_bytes, 'x');
    while (co_await c.send_text(message, {.deadline = 500ms}) == send_status::queued) ++offered;
    full.count_down();
    while (co_await c.receive()) {
    }
    unsent = c.unsent();
    counts = c.counts();
  });
  BOOST_TEST(unsent.lost > 0u);
  BOOST_TEST(unsent.lost_bytes == unsent.lost * payload_bytes);
  BOOST_TEST(unsent.kept > 0u);
  BOOST_TEST(counts.sent + unsent.lost + unsent.kept == offered);
  BOOST_TEST(counts.dropped == unsent.kept); // No connection follows.
}

BOOST_AUTO_TEST_CASE(where_everything_was_taken_nothing_is_told) {
  recorder seen, got;
  raw_server server{[&](raw_connection& peer, int) {
    peer.accept_upgrade(peer.read_head());
    unsigned op = 0;
    for (int i = 0; i < 3; ++i) got.add(peer.read_frame(op));
    peer.reset();
  }};
  client c{server.url(), {.reconnect = never}};
  std::optional<unsent_messages> told;
  c.on_open([&] {
    for (const char* text : {"a", "b", "c"}) c.send_text(text);
  });
  c.on_disconnected([&](std::uint16_t, std::string_view, const unsent_messages& unsent) {
    told = unsent;
    seen.add("disconnected");
  });
  c.start();
  BOOST_REQUIRE(seen.wait_for("disconnected"));
  BOOST_REQUIRE(told);
  BOOST_TEST(told->lost == 0u);
  BOOST_TEST(told->kept == 0u);
  BOOST_TEST(c.counts().sent == 3u);
  BOOST_TEST(got.story() == "a | b | c");
}

BOOST_AUTO_TEST_SUITE_END()
