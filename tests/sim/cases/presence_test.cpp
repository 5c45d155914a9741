// Users come and go with several connections each, over several shards, from a seed. Whoever watches from the beginning hears of each user in turn that
// it is there and that it has gone, and knows in the end who is there.
#include "tests/sim/kernel/random_source.hpp"
#include "tests/sim/rigs/engine_world.hpp"
#include "tests/sim/rigs/peer.hpp"

#include <boost/test/unit_test.hpp>
#include <fmt/format.h>
#include <list>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace ringcast::sim {

using namespace engine;

namespace {

struct watcher {
  peer p;
  std::set<std::string> present;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> counts; // users, connections
  std::uint64_t changes = 0;

  explicit watcher(kernel& world) : p(world) {
    p.on_message = [this](const peer_message& m) { hear(nlohmann::json::parse(m.payload)); };
    p.on_event = [this](const event_reader::event& e) {
      if (e.name == "presence") hear(nlohmann::json::parse(e.data));
    };
  }
  void hear(const nlohmann::json& told) {
    ++changes;
    if (told.contains("joined")) {
      BOOST_REQUIRE_MESSAGE(present.insert(told["joined"]).second, "told twice as there: " << told);
    } else if (told.contains("left")) {
      BOOST_REQUIRE_MESSAGE(present.erase(told["left"]) == 1, "told as gone, and was not there: " << told);
    } else {
      counts.emplace_back(told["users"], told["connections"]);
    }
  }
};

struct visitor {
  peer p;
  std::string user;
  visitor(kernel& world, std::string who) : p(world), user(std::move(who)) {}
};

constexpr std::uint32_t delay_ms = 300;

struct outcome {
  std::uint64_t changes = 0, returns = 0, counts = 0;
};

outcome run_seed(std::uint64_t seed, std::uint32_t shards, std::uint32_t members_max) {
  random_source draw(seed);
  kernel world(seed, {}, draw_machine(draw));
  engine_options options{.shards = shards};
  options.each.presence = {.members_max = members_max, .delay_ms = delay_ms};
  engine_world engine(world, options);
  outcome sum;
  std::list<watcher> watchers;
  for (int i = 0; i < 3; ++i) {
    watcher& w = watchers.emplace_back(world);
    BOOST_REQUIRE(w.p.connect(engine_world::port));
    if (i == 0)
      w.p.ask_for_events("/broadcast/room?presence=1", {});
    else
      w.p.ask_for_websocket("/broadcast/room?presence=1");
  }
  std::list<visitor> visitors;
  const auto move = [&](std::uint64_t ns) {
    for (watcher& w : watchers) w.p.act(true);
    for (visitor& v : visitors) v.p.act(true);
    engine.step();
    world.advance_by(ns);
  };
  for (int i = 0; i < 50; ++i) move(100'000);
  std::uint64_t run_ms = 0;
  for (int i = 0; i < 1500; ++i) {
    if (visitors.size() < 12 && draw.below(10) == 0) {
      visitor& v = visitors.emplace_back(world, fmt::format("user {}", draw.below(6)));
      BOOST_REQUIRE(v.p.connect(engine_world::port));
      const std::string target = fmt::format("/broadcast/room?user=user%20{}", v.user.substr(5));
      if (draw.below(4) == 0)
        v.p.ask_for_events(target, {});
      else
        v.p.ask_for_websocket(target);
    }
    // In every state, also before it was answered.
    if (!visitors.empty() && draw.below(12) == 0) {
      auto v = std::next(visitors.begin(), static_cast<std::ptrdiff_t>(draw.below(visitors.size())));
      if (draw.below(2) == 0)
        v->p.reset();
      else
        v->p.close();
      visitors.erase(v);
    }
    const std::uint64_t ms = 1 + draw.below(20);
    run_ms += ms;
    move(ms * 1'000'000);
  }
  // Until every leaving has been told, and every number: a second behind its delay at the latest.
  for (int i = 0; i < 4000; ++i) move(1'000'000);
  std::set<std::string> truth;
  for (const visitor& v : visitors) truth.insert(v.user);
  for (const watcher& w : watchers) {
    BOOST_REQUIRE_EQUAL(w.p.complaint(), "");
    BOOST_REQUIRE((w.p.now() == peer::state::open));
    sum.changes += w.changes;
    sum.counts += w.counts.size();
    if (members_max > 100) {
      BOOST_REQUIRE_EQUAL_COLLECTIONS(w.present.begin(), w.present.end(), truth.begin(), truth.end());
    } else {
      BOOST_REQUIRE(w.present.empty());
      BOOST_REQUIRE_LE(w.counts.size(), (run_ms + 4000) / 1000 + 1);
      BOOST_REQUIRE_EQUAL(w.counts.back().first, truth.size());
      BOOST_REQUIRE_EQUAL(w.counts.back().second, visitors.size() + watchers.size());
    }
  }
  for (watcher& w : watchers) w.p.close();
  for (visitor& v : visitors) v.p.close();
  engine.begin_stop();
  for (int i = 0; i < 5000 && !engine.has_stopped(); ++i) {
    engine.step();
    (void)world.sleep();
  }
  BOOST_TEST(engine.has_stopped());
  return sum;
}

} // namespace

BOOST_AUTO_TEST_SUITE(presence)

BOOST_AUTO_TEST_CASE(each_user_is_told_once_as_there_and_once_as_gone) {
  std::uint64_t changes = 0;
  for (const std::uint32_t shards : {1u, 2u, 4u})
    for (std::uint64_t seed = 1; seed <= 5; ++seed) BOOST_TEST_CONTEXT("seed " << seed << ", shards " << shards) {
        changes += run_seed(seed, shards, 1000).changes;
      }
  BOOST_TEST_MESSAGE(changes << " changes");
  BOOST_TEST(changes > 1000u);
}

BOOST_AUTO_TEST_CASE(in_a_large_room_users_are_counted_at_most_once_a_second) {
  for (const std::uint32_t shards : {1u, 2u})
    for (std::uint64_t seed = 1; seed <= 3; ++seed) BOOST_TEST_CONTEXT("seed " << seed << ", shards " << shards) {
        BOOST_TEST(run_seed(seed, shards, 1).counts > 0u);
      }
}

BOOST_AUTO_TEST_SUITE_END()

} // namespace ringcast::sim
