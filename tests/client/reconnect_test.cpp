// What follows when the server goes away: in each state it is reported once, and connected again if the policy says so.
#include "raw_server.hpp"
#include "recorder.hpp"

#include <boost/test/unit_test.hpp>
#include <ctime>
#include <fmt/format.h>
#include <thread>

using namespace ringcast;
using namespace ringcast::engine;
using namespace std::chrono_literals;

namespace {

// Quick and without chance.
constexpr reconnect_policy at_once{.initial_delay = 1ms, .max_delay = 5ms, .jitter = reconnect_policy::jitter_kind::none};
constexpr reconnect_policy never{.enabled = false};

constexpr unsigned text_frame = 0x81, close_frame = 0x88;

std::string close_payload_of(unsigned code, std::string_view reason) {
  return fmt::format("{}{}{}", static_cast<char>(code >> 8), static_cast<char>(code & 0xff), reason);
}

// Upgrades, then does what the test says.
auto upgraded(std::function<void(raw_connection&, int)> then) {
  return [then = std::move(then)](raw_connection& peer, int number) {
    peer.accept_upgrade(peer.read_head());
    then(peer, number);
  };
}

} // namespace

BOOST_AUTO_TEST_SUITE(reconnect)

BOOST_AUTO_TEST_CASE(a_lost_connection_is_replaced_and_what_was_sent_meanwhile_arrives) {
  recorder seen, got;
  raw_server server{upgraded([&](raw_connection& peer, int number) {
    if (number == 0) return peer.reset();
    unsigned op = 0;
    got.add(peer.read_frame(op));
    got.add(peer.read_frame(op));
    peer.write(frame_of(text_frame, "welcome back"));
    peer.wait_for_end();
  })};
  client c{server.url(), {.reconnect = at_once}};
  seen.listen_to(c);
  c.on_reconnecting([&](unsigned attempt, std::chrono::milliseconds) {
    seen.add(fmt::format("reconnecting {}", attempt));
    c.send_text("while away");
  });
  c.on_reconnected([&] {
    seen.add("reconnected");
    c.send_text("back");
  });
  c.start();
  BOOST_REQUIRE(seen.wait_for("message"));
  BOOST_TEST(seen.story() == "open | disconnected 1006 | reconnecting 1 | reconnected | message welcome back");
  BOOST_TEST(got.story() == "while away | back");
  BOOST_TEST(c.counts().reconnected == 1u);
}

BOOST_AUTO_TEST_CASE(messages_offline_are_dropped_and_counted_where_the_policy_says_so) {
  recorder seen;
  raw_server server{upgraded([](raw_connection& peer, int number) {
    if (number == 0) return peer.reset();
    peer.wait_for_end();
  })};
  client c{server.url(), {.reconnect = at_once, .offline = offline_policy::drop}};
  seen.listen_to(c);
  std::vector<send_status> results;
  c.on_reconnecting([&](unsigned, std::chrono::milliseconds) { results = {c.send_text("a"), c.send_text("b")}; });
  c.start();
  BOOST_REQUIRE(seen.wait_for("reconnected"));
  BOOST_TEST((results == std::vector{send_status::dropped, send_status::dropped}));
  BOOST_TEST(c.counts().dropped == 2u);
  BOOST_TEST(c.counts().sent == 0u);
}

BOOST_AUTO_TEST_CASE(the_queue_is_bounded_while_offline) {
  client c{fmt::format("ws://127.0.0.1:{}/", unused_port()), {.reconnect = {.initial_delay = 10s, .max_delay = 10s}, .queue_bytes_max = 1000}};
  recorder seen;
  seen.listen_to(c);
  c.start();
  BOOST_REQUIRE(seen.wait_for("reconnecting"));
  int queued = 0;
  while (c.send_text("0123456789") == send_status::queued) ++queued;
  BOOST_TEST(queued > 10);
  BOOST_TEST(queued < 100);
  BOOST_TEST(c.counts().queued_bytes <= 1000u + 8);
  c.disconnect();
  BOOST_REQUIRE(seen.wait_for("close"));
  BOOST_TEST(c.counts().dropped == static_cast<std::uint64_t>(queued));
  BOOST_TEST(c.counts().queued_bytes == 0u);
}

BOOST_AUTO_TEST_CASE(nobody_listens_and_the_attempts_are_limited) {
  client c{fmt::format("ws://127.0.0.1:{}/", unused_port()), {.reconnect = {.max_attempts = 2, .initial_delay = 1ms}}};
  recorder seen;
  seen.listen_to(c);
  c.start();
  BOOST_REQUIRE(seen.wait_for("close"));
  BOOST_TEST(seen.story() == "error connect | reconnecting 1 | error connect | reconnecting 2 | error connect | close 1006");
  BOOST_TEST((c.state() == client_state::closed));
}

BOOST_AUTO_TEST_CASE(the_first_connection_is_opened_not_reconnected_however_many_attempts_it_takes) {
  recorder seen;
  raw_server server{[](raw_connection& peer, int number) {
    const std::string head = peer.read_head();
    if (number == 0) return peer.write("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    peer.accept_upgrade(head);
    peer.wait_for_end();
  }};
  client c{server.url(), {.reconnect = at_once}};
  seen.listen_to(c);
  c.start();
  BOOST_REQUIRE(seen.wait_for("open"));
  BOOST_TEST(seen.story() == "error refused | reconnecting 1 | open");
}

BOOST_AUTO_TEST_CASE(a_clean_close_is_final) {
  recorder seen;
  raw_server server{upgraded([](raw_connection& peer, int) {
    peer.write(frame_of(close_frame, close_payload_of(1000, "done")));
    peer.wait_for_end();
  })};
  client c{server.url(), {.reconnect = at_once}};
  seen.listen_to(c);
  c.start();
  BOOST_REQUIRE(seen.wait_for("close"));
  BOOST_TEST(seen.story() == "open | disconnected 1000 | close 1000");
  BOOST_TEST(seen.count("close 1000 clean done") == 1u);
}

BOOST_AUTO_TEST_CASE(a_server_that_goes_away_is_followed) {
  recorder seen;
  raw_server server{upgraded([](raw_connection& peer, int number) {
    if (number == 0) peer.write(frame_of(close_frame, close_payload_of(1012, "restarting")));
    peer.wait_for_end();
  })};
  client c{server.url(), {.reconnect = at_once}};
  seen.listen_to(c);
  c.start();
  BOOST_REQUIRE(seen.wait_for("reconnected"));
  BOOST_TEST(seen.story() == "open | disconnected 1012 | reconnecting 1 | reconnected");
}

BOOST_AUTO_TEST_CASE(refusals_that_are_final_are_not_repeated) {
  for (const int status : {301, 400, 401, 403, 404, 410, 426}) {
    recorder seen;
    raw_server server{[status](raw_connection& peer, int) {
      (void)peer.read_head();
      peer.write(fmt::format("HTTP/1.1 {} No\r\nContent-Length: 0\r\n\r\n", status));
    }};
    client c{server.url(), {.reconnect = at_once}};
    seen.listen_to(c);
    c.start();
    BOOST_REQUIRE(seen.wait_for("close"));
    BOOST_TEST(seen.story() == "error refused | close 1006", status);
    BOOST_TEST(seen.count(fmt::format("error refused {} the server answered {} No", status, status)) == 1u);
  }
}

BOOST_AUTO_TEST_CASE(refusals_that_pass_are_repeated_and_retry_after_is_honoured) {
  for (const int status : {408, 429, 500, 503}) {
    recorder seen;
    raw_server server{[status](raw_connection& peer, int) {
      (void)peer.read_head();
      peer.write(fmt::format("HTTP/1.1 {} Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", status));
    }};
    client c{server.url(), {.reconnect = at_once}};
    seen.listen_to(c);
    c.start();
    BOOST_REQUIRE(seen.wait_for("reconnecting"));
    BOOST_TEST(seen.last_delay().count() == 7000);
  }
}

BOOST_AUTO_TEST_CASE(retry_after_as_a_date_is_honoured_and_bounded) {
  const auto delay_for = [](std::string_view value, std::chrono::milliseconds bound) {
    recorder seen;
    raw_server server{[value](raw_connection& peer, int) {
      (void)peer.read_head();
      peer.write(fmt::format("HTTP/1.1 503 Busy\r\nRetry-After: {}\r\nContent-Length: 0\r\n\r\n", value));
    }};
    client c{server.url(), {.reconnect = at_once, .retry_after_max = bound}};
    seen.listen_to(c);
    c.start();
    BOOST_REQUIRE(seen.wait_for("reconnecting"));
    return seen.last_delay();
  };
  const std::time_t soon = std::time(nullptr) + 30;
  std::tm parts{};
  gmtime_r(&soon, &parts);
  char date[64];
  std::strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  const auto delay = delay_for(date, 10min);
  BOOST_TEST(delay.count() >= 25'000);
  BOOST_TEST(delay.count() <= 30'000);
  BOOST_TEST(delay_for("86400", 1min).count() == 60'000);
}

// --- what counts as a success ---

BOOST_AUTO_TEST_CASE(a_server_that_accepts_and_ends_at_once_uses_the_attempts_up) {
  for (const bool says_close : {false, true}) {
    recorder seen;
    raw_server server{upgraded([&](raw_connection& peer, int) {
      if (says_close) peer.write(frame_of(close_frame, close_payload_of(1001, "")));
    })};
    reconnect_policy three = at_once;
    three.max_attempts = 3;
    client c{server.url(), {.reconnect = three}};
    seen.listen_to(c);
    c.start();
    BOOST_REQUIRE(seen.wait_for("close"));
    const std::string ends = says_close ? "disconnected 1001" : "disconnected 1006";
    BOOST_TEST(seen.story() == "open | " + ends + " | reconnecting 1 | reconnected | " + ends + " | reconnecting 2 | reconnected | " + ends +
                                   " | reconnecting 3 | reconnected | " + ends + (says_close ? " | close 1001" : " | close 1006"));
    BOOST_TEST(server.connections() == 4);
  }
}

BOOST_AUTO_TEST_CASE(a_connection_that_brought_a_message_was_a_success) {
  recorder seen;
  raw_server server{upgraded([](raw_connection& peer, int) { peer.write(frame_of(text_frame, "hello")); })};
  reconnect_policy once = at_once;
  once.max_attempts = 1;
  client c{server.url(), {.reconnect = once}};
  seen.listen_to(c);
  c.start();
  BOOST_REQUIRE(seen.wait_for("reconnecting 1", 4));
  BOOST_TEST(seen.count("close") == 0u);
}

BOOST_AUTO_TEST_CASE(a_connection_that_lived_long_enough_was_a_success) {
  recorder seen;
  raw_server server{upgraded([](raw_connection&, int number) {
    if (number < 3) std::this_thread::sleep_for(100ms);
  })};
  reconnect_policy once = at_once;
  once.max_attempts = 1;
  once.reset_after = 50ms;
  client c{server.url(), {.reconnect = once}};
  seen.listen_to(c);
  c.start();
  // Three that lived, each followed by a first attempt; the fourth ends at once, and its one attempt was the one that made it.
  BOOST_REQUIRE(seen.wait_for("close"));
  BOOST_TEST(seen.count("reconnecting 1") == 3u);
  BOOST_TEST(server.connections() == 4);
}

BOOST_AUTO_TEST_CASE(a_server_that_says_try_again_later_is_asked_after_the_initial_delay_at_the_earliest) {
  recorder seen;
  raw_server server{upgraded([](raw_connection& peer, int) {
    peer.write(frame_of(text_frame, "no room") + frame_of(close_frame, close_payload_of(1013, "")));
    peer.wait_for_end();
  })};
  client c{server.url(), {.reconnect = {.max_attempts = 4, .initial_delay = 20ms, .max_delay = 60ms}}};
  seen.listen_to(c);
  std::vector<std::chrono::milliseconds> delays;
  c.on_reconnecting([&](unsigned, std::chrono::milliseconds delay) { delays.push_back(delay); });
  c.start();
  BOOST_REQUIRE(seen.wait_for("close"));
  BOOST_TEST(seen.count("close 1013") == 1u);
  BOOST_TEST(seen.count("message no room") == 5u);
  BOOST_REQUIRE(delays.size() == 4u);
  const int bounds[] = {40, 60, 60, 60};
  for (std::size_t i = 0; i < delays.size(); ++i) {
    BOOST_TEST(delays[i].count() >= 20);
    BOOST_TEST(delays[i].count() <= bounds[i]);
  }
}

// --- the server end disappears in every state ---

BOOST_AUTO_TEST_CASE(the_name_has_no_address) {
  client c{"ws://no-such-host.invalid/", {.reconnect = never}};
  recorder seen;
  seen.listen_to(c);
  c.start();
  BOOST_REQUIRE(seen.wait_for("close", 1, 20s));
  BOOST_TEST(seen.story() == "error name_lookup | close 1006");
}

BOOST_AUTO_TEST_CASE(it_disappears_before_the_answer) {
  recorder seen;
  raw_server server{[](raw_connection& peer, int) { (void)peer.read_head(); }};
  client c{server.url(), {.reconnect = never}};
  seen.listen_to(c);
  c.start();
  BOOST_REQUIRE(seen.wait_for("close"));
  BOOST_TEST(seen.story() == "error lost | close 1006");
}

BOOST_AUTO_TEST_CASE(it_disappears_in_the_middle_of_the_answer) {
  recorder seen;
  raw_server server{[](raw_connection& peer, int) {
    (void)peer.read_head();
    peer.write("HTTP/1.1 101 Switching Protocols\r\nUpgr");
    peer.reset();
  }};
  client c{server.url(), {.reconnect = never}};
  seen.listen_to(c);
  c.start();
  BOOST_REQUIRE(seen.wait_for("close"));
  BOOST_TEST(seen.story() == "error lost | close 1006");
}

BOOST_AUTO_TEST_CASE(it_accepts_and_says_nothing) {
  recorder seen;
  raw_server server{[](raw_connection& peer, int) { peer.wait_for_end(); }};
  client c{server.url(), {.reconnect = never, .connect_timeout = 50ms}};
  seen.listen_to(c);
  c.start();
  BOOST_REQUIRE(seen.wait_for("close"));
  BOOST_TEST(seen.story() == "error timed_out | close 1006");
}

BOOST_AUTO_TEST_CASE(it_trickles_its_answer) {
  recorder seen;
  raw_server server{[](raw_connection& peer, int) {
    (void)peer.read_head();
    peer.write("HTTP/1.1 101 Switching Protocols\r\nX: ");
    for (int i = 0; i < 40; ++i) {
      peer.write("x");
      std::this_thread::sleep_for(5ms);
    }
  }};
  client c{server.url(), {.reconnect = never, .connect_timeout = 100ms}};
  seen.listen_to(c);
  c.start();
  BOOST_REQUIRE(seen.wait_for("close"));
  BOOST_TEST(seen.story() == "error timed_out | close 1006");
}

BOOST_AUTO_TEST_CASE(it_disappears_while_open) {
  recorder seen;
  raw_server server{upgraded([](raw_connection&, int) {})};
  client c{server.url(), {.reconnect = never}};
  seen.listen_to(c);
  c.start();
  BOOST_REQUIRE(seen.wait_for("close"));
  BOOST_TEST(seen.story() == "open | disconnected 1006 | close 1006");
  BOOST_TEST(seen.count("close 1006 unclean") == 1u);
}

BOOST_AUTO_TEST_CASE(it_disappears_while_closing) {
  recorder seen;
  raw_server server{upgraded([](raw_connection& peer, int) {
    unsigned op = 0;
    (void)peer.read_frame(op);
    if (op == 8) peer.reset();
  })};
  client c{server.url(), {.reconnect = at_once}};
  seen.listen_to(c);
  c.start();
  BOOST_REQUIRE(seen.wait_for("open"));
  c.disconnect(1000, "bye");
  BOOST_REQUIRE(seen.wait_for("close"));
  BOOST_TEST(seen.story() == "open | disconnected 1006 | close 1006");
  BOOST_TEST(seen.count("close 1006 unclean") == 1u);
}

BOOST_AUTO_TEST_CASE(it_never_answers_the_close) {
  recorder seen;
  raw_server server{upgraded([](raw_connection& peer, int) { peer.wait_for_end(); })};
  client c{server.url(), {.reconnect = at_once, .close_timeout = 50ms}};
  seen.listen_to(c);
  c.start();
  BOOST_REQUIRE(seen.wait_for("open"));
  c.disconnect();
  BOOST_REQUIRE(seen.wait_for("close"));
  BOOST_TEST(seen.story() == "open | disconnected 1006 | close 1006");
}

BOOST_AUTO_TEST_CASE(it_stops_answering_pings) {
  recorder seen, got;
  raw_server server{upgraded([&](raw_connection& peer, int number) {
    if (number > 0) return peer.wait_for_end();
    unsigned op = 0;
    (void)peer.read_frame(op);
    got.add(op == 9 ? "ping" : "something else");
    peer.wait_for_end();
  })};
  client c{server.url(), {.reconnect = at_once, .ping_interval = 50ms, .pong_timeout = 50ms}};
  seen.listen_to(c);
  c.start();
  BOOST_REQUIRE(seen.wait_for("reconnecting"));
  BOOST_TEST(seen.story().starts_with("open | disconnected 1006 | reconnecting 1"));
  BOOST_TEST(got.count("ping") == 1u);
}

BOOST_AUTO_TEST_CASE(disconnect_gives_up_an_attempt) {
  recorder seen;
  client c{fmt::format("ws://127.0.0.1:{}/", unused_port()), {.reconnect = {.initial_delay = 10s, .max_delay = 10s}}};
  seen.listen_to(c);
  c.start();
  BOOST_REQUIRE(seen.wait_for("reconnecting"));
  BOOST_TEST((c.state() == client_state::reconnecting));
  c.disconnect();
  BOOST_REQUIRE(seen.wait_for("close"));
  BOOST_TEST(seen.story() == "error connect | reconnecting 1 | close 1006");
}

BOOST_AUTO_TEST_SUITE_END()
