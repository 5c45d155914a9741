// A server that drains: members are let go evenly over the time, each behind what was called queued for it, and nobody is left. Time is the
// simulated clock's.
#include "tests/sim/rigs/engine_world.hpp"
#include "tests/sim/rigs/payload.hpp"
#include "tests/sim/rigs/peer.hpp"

#include <boost/test/unit_test.hpp>
#include <fmt/format.h>
#include <list>
#include <map>
#include <set>
#include <vector>

namespace ringcast::sim {

using namespace engine;

namespace {

constexpr std::uint64_t ms = 1'000'000;
// A look of the drainer, a turn that the seed leaves out, and a tick of the timers.
constexpr std::uint64_t slack_ms = 300;

constexpr machine roomy{.send_bytes_min = 1u << 22, .send_bytes_max = 1u << 22, .receive_bytes_min = 1u << 22, .receive_bytes_max = 1u << 22};
// Ends of stream cross each other.
constexpr machine far{
    .send_bytes_min = 1u << 22, .send_bytes_max = 1u << 22, .receive_bytes_min = 1u << 22, .receive_bytes_max = 1u << 22, .latency_ns_max = 10 * ms};
constexpr machine narrow{.send_bytes_min = 8192, .send_bytes_max = 8192, .receive_bytes_min = 4096, .receive_bytes_max = 4096};

struct draining_world {
  kernel world;
  engine_world engine;
  std::list<peer> peers;

  draining_world(std::uint64_t seed, std::uint32_t shards, const machine& host = roomy) : world(seed, {}, host), engine(world, {.shards = shards}) {}

  peer& member(const std::string& target) {
    peer& p = peers.emplace_back(world);
    BOOST_REQUIRE(p.connect(engine_world::port));
    p.ask_for_websocket(target);
    BOOST_REQUIRE(run_until([&] { return p.now() == peer::state::open; }, 1'000));
    return p;
  }
  // False when the time is over first.
  template <class Done, class Reads> bool run_until(Done&& done, std::uint64_t most_ms, Reads&& reads) {
    const std::uint64_t begin = world.now_ns();
    while (!done()) {
      if (world.now_ns() - begin > most_ms * ms) return false;
      for (peer& p : peers) p.act(reads(p));
      engine.step();
      if (world.sleep(1 * ms)) world.advance_by(1 * ms);
    }
    return true;
  }
  template <class Done> bool run_until(Done&& done, std::uint64_t most_ms) {
    return run_until(done, most_ms, [](peer&) { return true; });
  }
  std::size_t told_1001() const {
    std::size_t count = 0;
    for (const peer& p : peers) count += p.close_code() == 1001 ? 1 : 0;
    return count;
  }
};

} // namespace

BOOST_AUTO_TEST_SUITE(draining)

BOOST_AUTO_TEST_CASE(members_are_closed_evenly_over_the_time_and_nobody_is_left) {
  for (const std::uint32_t shards : {1u, 2u, 3u}) {
    draining_world w(7 + shards, shards);
    constexpr std::size_t count = 120;
    for (std::size_t i = 0; i < count; ++i) w.member(fmt::format("/broadcast/room-{}", i % 5));
    constexpr std::uint64_t spread_ms = 6'000;
    const std::uint64_t begin = w.world.now_ns();
    w.engine.begin_drain({.delay_ms = 0, .spread_ms = spread_ms});
    for (std::uint64_t tenth = 1; tenth <= 9; ++tenth) {
      w.run_until([&] { return w.world.now_ns() - begin >= tenth * spread_ms / 10 * ms; }, spread_ms);
      const auto due = static_cast<double>(count * tenth) / 10;
      // Two looks of each shard, and one member of each by rounding.
      BOOST_TEST(std::abs(static_cast<double>(w.told_1001()) - due) <= 2.0 * count * 100 / spread_ms + shards + 1, w.told_1001() << " of " << due);
    }
    BOOST_TEST(w.run_until([&] { return w.engine.has_stopped(); }, spread_ms / 10 + slack_ms));
    w.run_until([&] { return w.told_1001() == count; }, 1'000);
    BOOST_TEST(w.told_1001() == count);
    for (const peer& p : w.peers) BOOST_TEST(p.complaint() == "");
    for (const std::string& left : w.engine.remains()) BOOST_TEST(left == "");
  }
}

// Its own end of stream is nothing that a peer has still to take: a peer that ends in the same moment is not waited for.
BOOST_AUTO_TEST_CASE(it_ends_with_the_last_member_whoever_ends_first) {
  std::size_t late = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    draining_world w(seed, 1 + static_cast<std::uint32_t>(seed % 3), far);
    for (int i = 0; i < 30; ++i) w.member("/broadcast/one");
    std::set<const peer*> ended;
    w.engine.begin_drain({.delay_ms = 0, .spread_ms = 1'000});
    BOOST_REQUIRE(w.run_until(
        [&] {
          for (peer& p : w.peers)
            if (p.close_code() != 0 && !p.has_unsent() && w.world.chance.below(4) == 0 && ended.insert(&p).second) p.half_close();
          return ended.size() == w.peers.size();
        },
        1'000 + slack_ms));
    late += w.run_until([&] { return w.engine.has_stopped(); }, slack_ms) ? 0 : 1;
    w.run_until([&] { return w.engine.has_stopped(); }, 5'000);
  }
  BOOST_TEST(late == 0u);
}

BOOST_AUTO_TEST_CASE(rooms_go_on_and_whoever_is_closed_has_heard_everything_up_to_then) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      draining_world w(seed, 1 + static_cast<std::uint32_t>(seed % 3));
      std::map<const peer*, std::vector<std::uint32_t>> heard;
      for (int i = 0; i < 24; ++i) {
        peer& p = w.member("/broadcast/one");
        p.on_message = [&heard, who = &p](const peer_message& m) {
          const auto what = check_payload(m.payload);
          BOOST_REQUIRE(what.has_value());
          heard[who].push_back(what->number);
        };
      }
      w.engine.begin_drain({.delay_ms = 0, .spread_ms = 2'000});
      std::uint32_t number = 0;
      BOOST_TEST(w.run_until(
          [&] {
            // Each speaks until it is closed.
            for (peer& p : w.peers)
              if (p.now() == peer::state::open && w.world.chance.below(40) == 0) p.send_message(opcode::text, make_payload({1, ++number}, 200));
            return w.engine.has_stopped();
          },
          2'000 + slack_ms));
      w.run_until([&] { return w.told_1001() == w.peers.size(); }, 1'000);
      BOOST_TEST(w.told_1001() == w.peers.size());
      // What each heard is the beginning of what the last one did.
      const std::vector<std::uint32_t>* longest = nullptr;
      for (const auto& [who, what] : heard)
        if (longest == nullptr || what.size() > longest->size()) longest = &what;
      BOOST_REQUIRE(longest != nullptr);
      BOOST_TEST(longest->size() > 50u);
      std::size_t shortest = longest->size();
      for (const auto& [who, what] : heard) {
        BOOST_TEST(std::equal(what.begin(), what.end(), longest->begin()));
        shortest = std::min(shortest, what.size());
      }
      BOOST_TEST(shortest < longest->size() / 2);
    }
  }
}

BOOST_AUTO_TEST_CASE(who_is_behind_is_passed_over_until_it_has_read_what_was_called_queued) {
  for (const std::uint32_t shards : {1u, 2u, 3u}) {
    draining_world w(4, shards, narrow);
    peer& slow = w.member("/broadcast/slow");
    std::uint32_t heard = 0;
    slow.on_message = [&](const peer_message& m) {
      const auto what = check_payload(m.payload);
      BOOST_TEST((what && what->number == ++heard));
    };
    const auto all_but_slow = [&](peer& p) { return &p != &slow; };
    std::uint32_t queued = 0, answers = 0;
    peer& publisher = w.peers.emplace_back(w.world);
    BOOST_REQUIRE(publisher.connect(engine_world::port));
    publisher.on_answer = [&](int status, std::string_view body) {
      ++answers;
      if (status == 200 && body.contains("\"queued\":1")) ++queued;
    };
    for (std::uint32_t i = 1; i <= 200; ++i) {
      publisher.ask("POST", "/rooms/slow/messages", make_payload({1, i}, 2000));
      BOOST_REQUIRE(w.run_until([&] { return answers == i; }, 1'000, all_but_slow));
    }
    BOOST_TEST(queued == 200u);
    BOOST_TEST(heard < 20u);
    const std::uint64_t begin = w.world.now_ns();
    w.engine.begin_drain({.delay_ms = 0, .spread_ms = 4'000});
    BOOST_TEST(w.run_until([&] { return w.engine.has_stopped(); }, 4'000 + slack_ms,
                           [&](peer& p) { return &p != &slow || w.world.now_ns() - begin > 1'000 * ms; }));
    w.run_until([&] { return slow.close_code() != 0; }, 1'000);
    BOOST_TEST(heard == queued);
    BOOST_TEST(slow.close_code() == 1001);
    // It had caught up long before the end, and with it nobody was left.
    BOOST_TEST((w.world.now_ns() - begin) / ms < 3'000u);
  }
}

BOOST_AUTO_TEST_CASE(who_never_reads_ends_with_the_close_timeout_behind_the_spread) {
  draining_world w(5, 2, narrow);
  peer& slow = w.member("/broadcast/slow");
  peer& loud = w.member("/broadcast/slow");
  for (std::uint32_t i = 1; i <= 100; ++i) loud.send_message(opcode::text, make_payload({1, i}, 2000));
  w.run_until([&] { return !loud.has_unsent(); }, 1'000, [&](peer& p) { return &p != &slow; });
  const std::uint64_t begin = w.world.now_ns();
  w.engine.begin_drain({.delay_ms = 0, .spread_ms = 1'000});
  const std::uint64_t close_timeout_ms = server_limits{}.close_timeout_ms;
  BOOST_TEST(w.run_until([&] { return w.engine.has_stopped(); }, 1'000 + close_timeout_ms + slack_ms, [&](peer& p) { return &p != &slow; }));
  BOOST_TEST((w.world.now_ns() - begin) / ms >= 1'000 + close_timeout_ms);
  BOOST_TEST(loud.close_code() == 1001);
}

BOOST_AUTO_TEST_CASE(during_the_delay_it_accepts_and_behind_it_nobody) {
  draining_world w(3, 2);
  w.member("/broadcast/a");
  w.engine.begin_drain({.delay_ms = 1'000, .spread_ms = 1'000});
  w.run_until([] { return false; }, 900);
  BOOST_TEST(w.told_1001() == 0u);
  peer& late = w.member("/broadcast/a"); // is let in
  bool is_answered = false;
  peer& asks = w.peers.emplace_back(w.world);
  BOOST_REQUIRE(asks.connect(engine_world::port));
  asks.on_answer = [&](int status, std::string_view) { is_answered = status == 200; };
  asks.ask("GET", "/health/live");
  BOOST_TEST(w.run_until([&] { return is_answered; }, 100));
  w.run_until([] { return false; }, 100 + slack_ms);
  peer too_late{w.world};
  BOOST_TEST(!too_late.connect(engine_world::port));
  BOOST_TEST(asks.is_over()); // it had no request under way
  BOOST_TEST(w.run_until([&] { return w.engine.has_stopped(); }, 1'000 + slack_ms));
  w.run_until([&] { return late.close_code() != 0; }, 1'000);
  BOOST_TEST(w.told_1001() == 2u);
}

BOOST_AUTO_TEST_CASE(it_ends_when_nobody_was_there) {
  draining_world w(1, 3);
  w.engine.begin_drain({.delay_ms = 0, .spread_ms = 60'000});
  BOOST_TEST(w.run_until([&] { return w.engine.has_stopped(); }, slack_ms));
}

BOOST_AUTO_TEST_CASE(it_ends_when_the_last_has_left_by_itself) {
  draining_world w(2, 3);
  for (int i = 0; i < 9; ++i) w.member("/echo");
  w.engine.begin_drain({.delay_ms = 0, .spread_ms = 60'000});
  w.run_until([] { return false; }, 500);
  for (peer& p : w.peers)
    if (p.now() == peer::state::open) p.send_close(1000);
  BOOST_TEST(w.run_until([&] { return w.engine.has_stopped(); }, 2 * slack_ms));
}

BOOST_AUTO_TEST_CASE(the_first_drain_holds_and_a_stop_cuts_it_short) {
  draining_world w(3, 3);
  for (int i = 0; i < 9; ++i) w.member("/echo");
  w.engine.begin_drain({.delay_ms = 60'000, .spread_ms = 60'000});
  w.engine.begin_drain({.delay_ms = 0, .spread_ms = 1});
  w.run_until([] { return false; }, 1'000);
  BOOST_TEST(w.told_1001() == 0u);
  w.engine.begin_stop();
  BOOST_TEST(w.run_until([&] { return w.engine.has_stopped(); }, slack_ms));
  w.run_until([&] { return w.told_1001() == 9; }, 1'000);
  BOOST_TEST(w.told_1001() == 9u);
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::sim
