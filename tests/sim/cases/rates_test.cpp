// Peers that send faster than they may, by the simulated clock: what passes at once, what later and when, and what they are told.
#include "tests/sim/rigs/engine_world.hpp"
#include "tests/sim/rigs/peer.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <vector>

namespace ringcast::sim {

using namespace engine;

namespace {

struct speaker {
  peer p;
  std::vector<std::string> heard;
  explicit speaker(kernel& world) : p(world) {
    p.on_message = [this](const peer_message& m) { heard.push_back(m.payload); };
  }
  std::size_t answers() const {
    return static_cast<std::size_t>(std::ranges::count_if(heard, [](const std::string& m) { return !m.starts_with("{"); }));
  }
};

struct crowd {
  kernel world;
  engine_world engine;
  std::list<speaker> speakers;
  std::size_t held_most = 0;

  explicit crowd(const rate_limits& rates) : world(1), engine(world, with(rates)) {}
  static engine_options with(const rate_limits& rates) {
    engine_options options;
    options.each.limits.rates = rates;
    return options;
  }

  speaker& open(std::string_view target = "/echo") {
    speaker& s = speakers.emplace_back(world);
    BOOST_REQUIRE(s.p.connect(engine_world::port));
    s.p.ask_for_websocket(target);
    for (int i = 0; i < 200 && s.p.now() != peer::state::open; ++i) step(1'000'000);
    BOOST_REQUIRE((s.p.now() == peer::state::open));
    return s;
  }
  void step(std::uint64_t ns) {
    for (speaker& s : speakers) s.p.act(true);
    engine.step();
    held_most = std::max(held_most, engine.at(0).blocks().taken_bytes());
    (void)world.sleep(ns);
  }
  void run_for_ms(std::uint64_t ms) {
    const std::uint64_t until_ns = world.now_ns() + ms * 1'000'000;
    while (world.now_ns() < until_ns) step(1'000'000);
  }
  const shard_counters& counters() { return engine.at(0).counters(); }
  void end() {
    for (speaker& s : speakers) s.p.close();
    engine.begin_stop();
    for (int i = 0; i < 5'000 && !engine.has_stopped(); ++i) {
      engine.step();
      (void)world.sleep();
    }
    BOOST_TEST(engine.has_stopped());
    for (const std::string& left : engine.remains()) BOOST_TEST(left == "");
  }
};

void say(speaker& s, int times, std::size_t bytes = 1) {
  for (int i = 0; i < times; ++i) s.p.send_message(opcode::text, std::string(bytes, 'x'));
}

// How many it was told of, by {"dropped":N}.
std::uint64_t told_to(const speaker& s) {
  constexpr std::string_view begin = R"({"dropped":)";
  std::uint64_t sum = 0;
  for (const std::string& text : s.heard)
    if (text.starts_with(begin)) sum += std::stoull(text.substr(begin.size()));
  return sum;
}

} // namespace

BOOST_AUTO_TEST_SUITE(rates)

BOOST_AUTO_TEST_CASE(messages_up_to_the_burst_pass_at_once_and_the_next_waits_its_time) {
  for (const int times : {4, 5, 6}) {
    crowd c{{.messages = {.per_s = 2, .burst = 5}}};
    speaker& s = c.open();
    say(s, times);
    c.run_for_ms(450);
    BOOST_TEST(s.answers() == static_cast<std::size_t>(std::min(times, 5)));
    BOOST_TEST(c.counters().inputs_paused_for_rate == (times >= 5 ? 1u : 0u));
    c.run_for_ms(100);
    BOOST_TEST(s.answers() == static_cast<std::size_t>(times));
    c.end();
  }
}

BOOST_AUTO_TEST_CASE(bytes_up_to_the_burst_pass_and_what_a_message_owes_is_waited_for) {
  for (const std::size_t first : {99uz, 100uz, 101uz}) {
    crowd c{{.bytes = {.per_s = 100, .burst = 100}}};
    speaker& s = c.open();
    say(s, 1, first);
    say(s, 1, 100);
    c.run_for_ms(80);
    BOOST_TEST(s.answers() == (first < 100 ? 2u : 1u)); // a byte is left, or none
    c.run_for_ms(60);
    BOOST_TEST(s.answers() == 2u);
    c.end();
  }
}

BOOST_AUTO_TEST_CASE(ten_thousand_messages_in_one_burst_keep_nobody_else_from_being_served) {
  constexpr int many = 10'000;
  crowd c{{.messages = {.per_s = 1'000, .burst = 10}}};
  speaker &flood = c.open(), &other = c.open();
  const std::size_t held_before = c.engine.at(0).blocks().taken_bytes();
  const std::uint64_t begin_ns = c.world.now_ns();
  say(flood, many);
  for (int i = 0; i < 50; ++i) {
    const std::size_t before = other.answers();
    say(other, 1);
    c.run_for_ms(10);
    BOOST_TEST(other.answers() == before + 1);
  }
  BOOST_TEST(flood.answers() >= 10u);
  BOOST_TEST(flood.answers() <= 610u);
  // What had been received when it was stopped, and no more.
  BOOST_TEST(c.held_most - held_before <= 256u * 1024);
  while (flood.answers() < many && c.world.now_ns() - begin_ns < 20'000'000'000) c.run_for_ms(10);
  BOOST_TEST(flood.answers() == static_cast<std::size_t>(many));
  const std::uint64_t took_ms = (c.world.now_ns() - begin_ns) / 1'000'000;
  BOOST_TEST(took_ms >= 9'900u);
  BOOST_TEST(took_ms <= 11'500u);
  BOOST_TEST(c.counters().inputs_paused_for_rate <= 1'100u);
  c.end();
}

BOOST_AUTO_TEST_CASE(what_is_dropped_is_told_at_most_once_a_second) {
  for (const int times : {4, 5, 6}) {
    crowd c{{.messages = {.per_s = 1, .burst = 5}, .policy = over_rate::drop}};
    speaker& s = c.open();
    say(s, times);
    c.run_for_ms(50);
    BOOST_TEST(s.answers() == static_cast<std::size_t>(std::min(times, 5)));
    BOOST_TEST(std::ranges::count(s.heard, R"({"dropped":1})") == (times > 5 ? 1 : 0));
    BOOST_TEST(c.counters().messages_dropped_for_rate == (times > 5 ? 1u : 0u));
    c.end();
  }
  crowd c{{.messages = {.per_s = 1, .burst = 5}, .policy = over_rate::drop}};
  speaker& s = c.open("/broadcast/r");
  say(s, 25);
  c.run_for_ms(50);
  BOOST_TEST(s.heard.size() == 6u);
  BOOST_TEST(told_to(s) >= 1u); // what had come by then
  for (int i = 0; i < 9; ++i) {
    say(s, 10);
    c.run_for_ms(50);
  }
  BOOST_TEST(s.heard.size() == 6u); // not before the second is over
  c.run_for_ms(550);
  BOOST_TEST(s.heard.size() == 7u);
  BOOST_TEST(told_to(s) == 110u);
  say(s, 1);
  c.run_for_ms(50);
  BOOST_TEST(s.answers() == 6u);
  c.end();
}

BOOST_AUTO_TEST_CASE(the_message_beyond_the_burst_closes_with_1008_where_the_policy_says_so) {
  for (const int times : {4, 5, 6}) {
    crowd c{{.messages = {.per_s = 1, .burst = 5}, .policy = over_rate::close}};
    speaker& s = c.open();
    say(s, times);
    c.run_for_ms(50);
    BOOST_TEST(s.answers() == static_cast<std::size_t>(std::min(times, 5)));
    BOOST_TEST((s.p.now() == (times > 5 ? peer::state::closed : peer::state::open)));
    if (times > 5) BOOST_TEST(s.p.close_code() == 1008);
    BOOST_TEST(c.counters().refused(refusal::message_rate) == (times > 5 ? 1u : 0u));
    c.end();
  }
}

BOOST_AUTO_TEST_CASE(a_peer_that_waits_long_is_not_taken_for_a_dead_one) {
  crowd c{{.bytes = {.per_s = 1}}};
  speaker& s = c.open();
  say(s, 1, 200);
  say(s, 1);
  c.run_for_ms(190'000);
  BOOST_TEST((s.p.now() == peer::state::open));
  BOOST_TEST(s.answers() == 1u);
  c.run_for_ms(20'000);
  BOOST_TEST(s.answers() == 2u);
  BOOST_TEST((s.p.now() == peer::state::open));
  c.end();
}

BOOST_AUTO_TEST_CASE(a_peer_that_vanishes_while_it_waits_leaves_nothing) {
  for (const int how : {0, 1, 2}) {
    crowd c{{.messages = {.per_s = 10, .burst = 1}}};
    speaker& s = c.open();
    say(s, 30);
    c.run_for_ms(250);
    if (how == 0) s.p.reset();
    if (how == 1) s.p.close();
    if (how == 2) s.p.send_close(1000);
    c.run_for_ms(4'000);
    BOOST_TEST(c.engine.connections() == 0u);
    if (how == 2) {
      BOOST_TEST(s.answers() == 30u); // what stood in front of its Close frame has been said
      BOOST_TEST((s.p.now() == peer::state::closed));
    }
    c.end();
  }
}

BOOST_AUTO_TEST_CASE(a_server_that_stops_does_not_wait_for_those_that_wait) {
  crowd c{{.messages = {.per_s = 1, .burst = 1}}};
  speaker& s = c.open();
  say(s, 1'000);
  c.run_for_ms(1'500);
  c.engine.begin_stop();
  c.run_for_ms(500);
  BOOST_TEST((s.p.now() == peer::state::closed));
  BOOST_TEST(s.p.close_code() == 1001);
  BOOST_TEST(c.engine.has_stopped());
  for (const std::string& left : c.engine.remains()) BOOST_TEST(left == "");
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::sim
